//! A connection to the guest's SSH server: whose it is, and who we are.

use super::host_key::{HostKey, algorithms, fingerprints};
use super::{SshKey, SshLogin};
use crate::guest::Error;
use russh::client::{self, AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use secrecy::ExposeSecret;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a server may take from the first byte to the login. An emulated CPU takes seconds for it.
const LOGIN: Duration = Duration::from_secs(20);
/// Silence after which the server is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(5);
/// So many such questions without an answer, and the link is lost.
const QUESTIONS: usize = 3;

/// Why there is no connection.
pub(super) enum Failure {
    /// It may go better in a moment.
    Passing(String),
    /// It will not.
    Final(Error),
}

/// A connection that is logged in.
pub(super) struct Link {
    pub(super) handle: Handle<Checker>,
    /// The key that the server proved itself with.
    pub(super) host_key: HostKey,
}

/// Looks at the server's key.
pub(super) struct Checker {
    /// Any is taken where there are none.
    trusted: Vec<HostKey>,
    shown: Arc<Mutex<Option<HostKey>>>,
}

impl client::Handler for Checker {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        // Certificates are not asked for.
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            return Ok(false);
        };
        let key = HostKey::from(key.clone());
        let known = self.trusted.is_empty() || self.trusted.contains(&key);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        Ok(known)
    }
}

/// Connects, has the server prove itself with one of these keys, and logs in.
pub(super) async fn connect(login: &SshLogin, key: Option<&PrivateKey>, trusted: &[HostKey]) -> Result<Link, Failure> {
    match tokio::time::timeout(LOGIN, try_connect(login, key, trusted)).await {
        Ok(link) => link,
        Err(_) => Err(Failure::Passing(format!("no answer within {} s", LOGIN.as_secs()))),
    }
}

async fn try_connect(login: &SshLogin, key: Option<&PrivateKey>, trusted: &[HostKey]) -> Result<Link, Failure> {
    let shown = Arc::new(Mutex::new(None));
    let checker = Checker {
        trusted: trusted.to_vec(),
        shown: shown.clone(),
    };
    let config = client::Config {
        keepalive_interval: Some(SILENCE),
        keepalive_max: QUESTIONS,
        nodelay: true,
        preferred: russh::Preferred {
            key: algorithms(trusted).into(),
            ..russh::Preferred::DEFAULT
        },
        ..client::Config::default()
    };
    let passing = |e: std::io::Error| Failure::Passing(e.to_string());
    let stream = TcpStream::connect((login.host.as_str(), login.port))
        .await
        .map_err(passing)?;
    stream.set_nodelay(true).map_err(passing)?;
    if let Some(name) = windows(&stream).await {
        return Err(Failure::Final(Error::Refused {
            guest: login.name(),
            why: format!(
                "its SSH server is that of Windows ({name}), in which mosdat runs commands by the QEMU guest agent only; leave \
                 spec.guest.ssh out of the VM"
            ),
        }));
    }
    let connected = client::connect_stream(Arc::new(config), stream, checker).await;
    let host_key = shown.lock().unwrap_or_else(PoisonError::into_inner).take();
    let changed = |found: String| Error::HostKey {
        guest: login.name(),
        vm: login.vm.clone(),
        found,
        trusted: fingerprints(trusted),
    };
    let mut handle = match connected {
        Ok(handle) => handle,
        Err(russh::Error::UnknownKey) => {
            let found = host_key.map_or_else(|| "a certificate".to_string(), |key| key.fingerprint());
            return Err(Failure::Final(changed(found)));
        }
        // It has no key of a kind that is trusted.
        Err(russh::Error::NoCommonAlgo {
            kind: russh::AlgorithmKind::Key,
            theirs,
            ..
        }) if !trusted.is_empty() => return Err(Failure::Final(changed(format!("of the kind {}", theirs.join(", "))))),
        Err(e) => return Err(Failure::Passing(e.to_string())),
    };
    let Some(host_key) = host_key else {
        return Err(Failure::Passing("the server showed no key".to_string()));
    };
    authenticate(login, key, &mut handle).await?;
    Ok(Link { handle, host_key })
}

/// Who the server says that it is, if that is Windows; it says so first (RFC 4253, section 4.2). Nothing is taken from the
/// stream, and one that waits for us to begin is not waited for.
async fn windows(stream: &TcpStream) -> Option<String> {
    let mut said = [0; 255];
    let count = tokio::time::timeout(SILENCE, stream.peek(&mut said)).await.ok()?.ok()?;
    let said = String::from_utf8_lossy(&said[..count]);
    let name = said.lines().find(|line| line.starts_with("SSH-"))?.trim();
    name.contains("_for_Windows").then(|| name.to_string())
}

async fn authenticate(login: &SshLogin, key: Option<&PrivateKey>, handle: &mut Handle<Checker>) -> Result<(), Failure> {
    let passing = |e: russh::Error| Failure::Passing(e.to_string());
    let hash = handle.best_supported_rsa_hash().await.map_err(passing)?.flatten();
    let refused = |why: String| {
        Failure::Final(Error::Refused {
            guest: login.name(),
            why,
        })
    };
    let mut offered = Vec::new();
    if let SshKey::Agent(socket) = &login.key {
        let agent = AgentClient::connect_uds(socket).await.map_err(|e| {
            refused(format!(
                "no ssh-agent answers at {} ({e}); start one and set SSH_AUTH_SOCK where mosdat runs, or give a key with keySecretRef",
                socket.display()
            ))
        })?;
        let mut agent = agent.dynamic();
        let keys = agent.request_identities().await;
        let keys = keys.map_err(|e| refused(format!("the ssh-agent does not tell its keys: {e}")))?;
        for identity in keys {
            let AgentIdentity::PublicKey { key, .. } = identity else {
                continue;
            };
            offered.push(HostKey::from(key.clone()));
            let answer = handle
                .authenticate_publickey_with(&login.user, key, hash, &mut agent)
                .await;
            match answer {
                Ok(AuthResult::Success) => return Ok(()),
                Ok(AuthResult::Failure { .. }) => {}
                Err(e) => return Err(refused(format!("the ssh-agent does not sign: {e}"))),
            }
        }
        if offered.is_empty() {
            return Err(refused("the ssh-agent has no key; add one with ssh-add".to_string()));
        }
    } else if let Some(key) = key {
        let offer = PrivateKeyWithHashAlg::new(Arc::new(key.clone()), hash);
        let answer = handle
            .authenticate_publickey(&login.user, offer)
            .await
            .map_err(passing)?;
        if let AuthResult::Success = answer {
            return Ok(());
        }
        offered.push(HostKey::from(key.public_key().clone()));
    }
    // A link that was lost looks the same.
    if handle.is_closed() {
        return Err(Failure::Passing("the server hung up during the login".to_string()));
    }
    Err(refused(format!(
        "it does not let '{}' in with the key {}; put its public half into that user's ~/.ssh/authorized_keys in the template",
        login.user,
        fingerprints(&offered)
    )))
}

/// The key of a login; none where an agent has it.
pub(super) fn private_key(login: &SshLogin) -> Result<Option<PrivateKey>, Error> {
    let SshKey::Secret(text) = &login.key else {
        return Ok(None);
    };
    let key = decode_secret_key(text.expose_secret(), None);
    key.map(Some).map_err(|e| Error::Refused {
        guest: login.name(),
        why: match e {
            russh::keys::Error::KeyIsEncrypted => {
                "the private key is protected by a passphrase, and nobody is there to type it; give one without (ssh-keygen -p)".to_string()
            }
            // What it says of the text is not told: that is a secret.
            _ => "what keySecretRef names is no private key of SSH; give the file that ssh-keygen makes, as it is".to_string(),
        },
    })
}
