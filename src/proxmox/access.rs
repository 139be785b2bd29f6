//! What the user or token may do.

use super::client::Client;
use super::{Error, lenient};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// `GET /access/permissions`: path to privileges, each with whether it holds for what is below the path too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(pub BTreeMap<String, BTreeMap<String, bool>>);

impl Permissions {
    /// The privileges on a path: its own, or those that the nearest listed path above passes down.
    pub fn on(&self, path: &str) -> BTreeSet<&str> {
        if let Some(own) = self.0.get(path) {
            return own.keys().map(String::as_str).collect();
        }
        let mut above = path;
        while let Some((parent, _)) = above.rsplit_once('/') {
            above = parent;
            let key = if above.is_empty() { "/" } else { above };
            if let Some(inherited) = self.0.get(key) {
                let passed = inherited.iter().filter(|(_, down)| **down);
                return passed.map(|(p, _)| p.as_str()).collect();
            }
        }
        BTreeSet::new()
    }

    /// Those of `wanted` that are missing on a path.
    pub fn missing<'a>(&self, path: &str, wanted: &[&'a str]) -> Vec<&'a str> {
        let held = self.on(path);
        wanted.iter().copied().filter(|w| !held.contains(w)).collect()
    }
}

impl Client {
    /// What this client's own user or token may do, everywhere. A token with privilege separation that was given
    /// nothing has an empty list.
    pub async fn permissions(&self) -> Result<Permissions, Error> {
        let raw: BTreeMap<String, BTreeMap<String, Value>> = self.get("/access/permissions", vec![]).await?;
        let flags = |m: BTreeMap<String, Value>| m.into_iter().map(|(k, v)| (k, lenient::boolean(&v))).collect();
        Ok(Permissions(raw.into_iter().map(|(path, m)| (path, flags(m))).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Permissions {
        let privileges = |list: &[(&str, bool)]| list.iter().map(|(k, v)| (k.to_string(), *v)).collect();
        Permissions(
            [
                (
                    "/".to_string(),
                    privileges(&[("Sys.Audit", true), ("Sys.Modify", false)]),
                ),
                ("/vms".to_string(), privileges(&[("VM.Audit", true)])),
                ("/vms/100".to_string(), privileges(&[("VM.Clone", true)])),
            ]
            .into(),
        )
    }

    #[test]
    fn the_nearest_path_counts() {
        let p = some();
        assert_eq!(p.missing("/vms/100", &["VM.Clone", "VM.Audit"]), ["VM.Audit"]);
        assert!(p.missing("/vms/101", &["VM.Audit"]).is_empty());
        assert_eq!(p.missing("/vms/101", &["Sys.Audit"]), ["Sys.Audit"]);
        assert!(p.missing("/storage/local", &["Sys.Audit"]).is_empty());
        assert_eq!(
            p.missing("/storage", &["Sys.Modify"]),
            ["Sys.Modify"],
            "not passed down"
        );
        assert!(p.missing("/", &["Sys.Modify"]).is_empty());
        assert_eq!(Permissions::default().missing("/", &["Sys.Audit"]), ["Sys.Audit"]);
    }
}
