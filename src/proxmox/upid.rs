//! Task identifiers.

use std::fmt;

/// `UPID:node:PID:PSTART:TIME:type:id:user:`. For `qmclone` the id is the *source* VMID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upid {
    text: String,
    node: String,
    kind: String,
    id: String,
    started: u64,
    ticks: u64,
}

impl Upid {
    /// Parses the text; `None` if it is no UPID.
    pub fn parse(text: &str) -> Option<Upid> {
        let parts: Vec<&str> = text.trim().split(':').collect();
        if parts.len() < 8 || parts[0] != "UPID" || parts[1].is_empty() {
            return None;
        }
        Some(Upid {
            text: text.trim().to_string(),
            node: parts[1].to_string(),
            kind: parts[5].to_string(),
            id: parts[6].to_string(),
            started: u64::from_str_radix(parts[4], 16).ok()?,
            ticks: u64::from_str_radix(parts[3], 16).ok()?,
        })
    }
    /// Node that runs the task.
    pub fn node(&self) -> &str {
        &self.node
    }
    /// Worker type, such as `qmclone`.
    pub fn kind(&self) -> &str {
        &self.kind
    }
    /// What the task works on; empty for some types.
    pub fn id(&self) -> &str {
        &self.id
    }
    /// When it began by the node's clock, in seconds since 1970.
    pub fn started(&self) -> u64 {
        self.started
    }
    /// By what the tasks of a node are in the order in which they began: the second, and within it the ticks (1/100 s)
    /// that the node had been up.
    pub fn order(&self) -> (u64, u64) {
        (self.started, self.ticks)
    }
    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let u = Upid::parse("UPID:pve1:0000ABCD:00112233:66AABBCC:qmclone:100:root@pam!rt:").expect("upid");
        assert_eq!((u.node(), u.kind(), u.id()), ("pve1", "qmclone", "100"));
        assert_eq!(u.started(), 0x66AA_BBCC);
        let next = Upid::parse("UPID:pve1:0000ABCE:00112234:66AABBCC:qmclone:100:root@pam!rt:").expect("upid");
        assert!(next.order() > u.order(), "in the same second");
        assert!(Upid::parse("nonsense").is_none());
        assert!(Upid::parse("UPID::1").is_none());
    }
}
