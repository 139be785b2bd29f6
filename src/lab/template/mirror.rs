//! The package sources of the guest: the machine's own.

use crate::lab::{Error, Result};

/// Where the guest's packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mirror {
    /// Debian code name, e.g. `bookworm`.
    pub suite: String,
    /// Lines for sources.list.
    pub sources: Vec<String>,
}

/// Format given to `apt-get indextargets` for [`parse`].
pub(super) const FORMAT: &str = "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)";

/// The suite of the machine from the text of /etc/os-release.
pub(super) fn suite(os_release: &str) -> Result<String> {
    let get = |key: &str| {
        os_release
            .lines()
            .find_map(|l| l.strip_prefix(key)?.strip_prefix('='))
            .map(|v| v.trim_matches('"').to_owned())
    };
    match (get("ID").as_deref(), get("VERSION_CODENAME")) {
        (Some("debian"), Some(suite)) if !suite.is_empty() => Ok(suite),
        (id, _) => Err(Error::NoMirror {
            why: format!("this machine is {}, not Debian", id.unwrap_or("unknown")),
        }),
    }
}

/// The mirror from the output of `apt-get indextargets --format FORMAT "Created-By: Packages"`.
pub(super) fn parse(suite: &str, targets: &str) -> Result<Mirror> {
    let wanted = [
        suite.to_owned(),
        format!("{suite}-updates"),
        format!("{suite}-security"),
    ];
    let mut sources = Vec::new();
    for name in &wanted {
        for line in targets.lines() {
            let mut f = line.split('|');
            if let (Some("Debian"), Some(code), Some("main"), Some(uri)) = (f.next(), f.next(), f.next(), f.next()) {
                let source = format!("deb {uri} {name} main");
                if code == name && !sources.contains(&source) {
                    sources.push(source);
                }
            }
        }
    }
    if !sources.iter().any(|s| s.contains(&format!(" {suite} "))) {
        return Err(Error::NoMirror {
            why: format!("apt knows no source for {suite} main (try `apt-get update`)"),
        });
    }
    Ok(Mirror {
        suite: suite.to_owned(),
        sources,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_machines_own_debian_sources() {
        let targets = "Debian|bookworm|main|http://m/debian/\nDebian|bookworm|contrib|http://m/debian/\n\
            Debian|bookworm-backports|main|http://m/debian/\nDebian|bookworm-security|main|http://m/sec/\n\
            Other|bookworm|main|http://x/\nDebian|bookworm|main|http://m/debian/\n";
        let m = parse("bookworm", targets).unwrap();
        assert_eq!(
            m.sources,
            [
                "deb http://m/debian/ bookworm main",
                "deb http://m/sec/ bookworm-security main"
            ]
        );
    }

    #[test]
    fn no_source_is_explained() {
        let e = parse("bookworm", "").unwrap_err().to_string();
        assert!(e.contains("apt-get update"), "{e}");
        assert!(suite("ID=fedora\n").unwrap_err().to_string().contains("fedora"));
        assert_eq!(suite("ID=debian\nVERSION_CODENAME=bookworm\n").unwrap(), "bookworm");
    }
}
