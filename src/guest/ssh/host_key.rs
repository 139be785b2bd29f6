//! Host keys: they prove that it is the guest who answers.

use russh::keys::{Algorithm, HashAlg, PublicKey};

/// Where sshd has the public halves of its keys, best first.
pub const HOST_KEY_FILES: [&str; 3] = [
    "/etc/ssh/ssh_host_ed25519_key.pub",
    "/etc/ssh/ssh_host_ecdsa_key.pub",
    "/etc/ssh/ssh_host_rsa_key.pub",
];

/// The public key of a guest's SSH server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey(PublicKey);

impl HostKey {
    /// Reads one as it stands in a `.pub` file: `ssh-ed25519 AAAA... comment`.
    ///
    /// # Errors
    /// It is no such line.
    pub fn parse(text: &str) -> Result<HostKey, String> {
        let key = PublicKey::from_openssh(text.trim());
        key.map(HostKey::from)
            .map_err(|e| format!("'{}' is no public key of SSH ({e})", text.trim()))
    }

    /// The same without a comment.
    pub fn text(&self) -> String {
        // A key that was read can be written; the fingerprint would at least tell which it was.
        self.0.to_openssh().unwrap_or_else(|_| self.fingerprint())
    }

    /// `SHA256:...`, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }
}

impl From<PublicKey> for HostKey {
    /// Without its comment, which is no part of the key.
    fn from(key: PublicKey) -> HostKey {
        HostKey(PublicKey::from(key.key_data().clone()))
    }
}

/// Their fingerprints, for messages.
pub(super) fn fingerprints(keys: &[HostKey]) -> String {
    keys.iter().map(HostKey::fingerprint).collect::<Vec<_>>().join(" or ")
}

/// Which kinds of keys the server is asked to prove itself with: those that are trusted, so that it shows none that it has
/// besides. Without any, all; but none with SHA-1.
pub(super) fn algorithms(trusted: &[HostKey]) -> Vec<Algorithm> {
    let sha2 = |hash| Algorithm::Rsa { hash: Some(hash) };
    let strong: Vec<Algorithm> = russh::Preferred::DEFAULT
        .key
        .iter()
        .filter(|a| **a != Algorithm::Rsa { hash: None })
        .cloned()
        .collect();
    if trusted.is_empty() {
        return strong;
    }
    let mut wanted = Vec::new();
    for key in trusted {
        match key.0.algorithm() {
            Algorithm::Rsa { .. } => wanted.extend([sha2(HashAlg::Sha512), sha2(HashAlg::Sha256)]),
            other => wanted.push(other),
        }
    }
    strong.into_iter().filter(|a| wanted.contains(a)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti user@example.com";

    #[test]
    fn a_comment_is_no_part_of_a_key() {
        let key = HostKey::parse(ED).unwrap();
        assert_eq!(key, HostKey::parse(&format!(" {}\n", key.text())).unwrap());
        assert!(!key.text().contains("user@"), "{}", key.text());
        assert!(key.fingerprint().starts_with("SHA256:"), "{}", key.fingerprint());
        let error = HostKey::parse("ssh-ed25519 AAAA").unwrap_err();
        assert!(error.contains("ssh-ed25519 AAAA"), "{error}");
    }

    #[test]
    fn the_server_is_asked_for_a_key_that_is_trusted() {
        assert_eq!(algorithms(&[HostKey::parse(ED).unwrap()]), [Algorithm::Ed25519]);
        assert!(algorithms(&[]).len() > 4);
        assert!(!algorithms(&[]).contains(&Algorithm::Rsa { hash: None }));
    }
}
