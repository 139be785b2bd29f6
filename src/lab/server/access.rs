//! Who may: one API token and one user with a password, both made at the first start and kept in files that only
//! their owner can read.

use super::answer::{Answer, Refusal};
use super::locked;
use super::params::Params;
use crate::lab::{Error, Result};
use base64::Engine;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The token's name.
pub(super) const TOKEN_ID: &str = "mosdat@pve!lab";
/// The user with a password, who alone may pass raw devices through.
pub(super) const ROOT: &str = "root@pam";
/// How long a ticket lives.
const TICKET_LIFE: Duration = Duration::from_secs(2 * 3600);

pub(super) struct Access {
    /// Secret of the token.
    pub token: SecretString,
    /// Its file.
    pub token_file: PathBuf,
    password: SecretString,
    tickets: Mutex<HashMap<String, Ticket>>,
}

struct Ticket {
    user: String,
    csrf: String,
    until: Instant,
}

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    /// `USER@REALM` or `USER@REALM!TOKEN`.
    pub id: String,
}

impl User {
    /// Whether this is root with a password: tokens of root are not.
    pub fn is_root(&self) -> bool {
        self.id == ROOT
    }
}

impl Access {
    pub fn open(dir: &Path) -> Result<Access> {
        let token_file = dir.join("token.secret");
        Ok(Access {
            token: kept(&token_file, || {
                // In the form of a UUID, which is what Proxmox's secrets are.
                let h = hex::encode(rand::random::<[u8; 16]>());
                format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
            })?,
            token_file,
            password: kept(&dir.join("root.password"), || hex::encode(rand::random::<[u8; 12]>()))?,
            tickets: Mutex::default(),
        })
    }

    /// Who sends a request with these headers.
    pub fn authenticate(&self, method: &http::Method, headers: &http::HeaderMap) -> Result<User, Refusal> {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
        if let Some(token) = text("authorization").and_then(|a| a.strip_prefix("PVEAPIToken=")) {
            return match token.split_once('=') {
                Some((TOKEN_ID, secret)) if same(secret, self.token.expose_secret()) => Ok(User { id: TOKEN_ID.into() }),
                _ => Err(Refusal::unauthorized("Authentication failed!")),
            };
        }
        let cookie = text("cookie").into_iter().flat_map(|c| c.split(';')).find_map(|c| c.trim().strip_prefix("PVEAuthCookie="));
        let header = text("authorization").and_then(|a| a.strip_prefix("PVEAuthCookie="));
        let Some(raw) = cookie.or(header) else { return Err(Refusal::unauthorized("No ticket")) };
        let ticket = percent_decode_str(raw).decode_utf8_lossy().into_owned();
        let tickets = locked(&self.tickets);
        let Some(known) = tickets.get(&ticket).filter(|t| t.until > Instant::now()) else {
            return Err(Refusal::unauthorized("Authentication failed!"));
        };
        let csrf = text("csrfpreventiontoken").is_some_and(|c| same(c, &known.csrf));
        if method != http::Method::GET && !csrf {
            return Err(Refusal::unauthorized("Permission denied - invalid csrf token"));
        }
        Ok(User { id: known.user.clone() })
    }

    /// `POST /access/ticket`: by password, or by a ticket that still lives.
    pub fn log_in(&self, p: &Params) -> Answer {
        let name = p.get("username").unwrap_or_default();
        let user = match p.get("realm") {
            Some(realm) if !name.contains('@') => format!("{name}@{realm}"),
            _ => name.to_string(),
        };
        let given = p.get("password").unwrap_or_default();
        let mut tickets = locked(&self.tickets);
        tickets.retain(|_, t| t.until > Instant::now());
        let renewed = tickets.get(given).is_some_and(|t| t.user == user);
        if user != ROOT || !(renewed || same(given, self.password.expose_secret())) {
            return Err(Refusal { body: true, ..Refusal::unauthorized("authentication failure") });
        }
        let random = |n: usize| {
            let bytes: Vec<u8> = (0..n).map(|_| rand::random()).collect();
            base64::engine::general_purpose::STANDARD.encode(bytes)
        };
        let ticket = format!("PVE:{user}:{:08X}::{}", jiff::Timestamp::now().as_second(), random(96));
        let csrf = format!("{:08X}:{}", jiff::Timestamp::now().as_second(), random(24));
        let until = Instant::now() + TICKET_LIFE;
        tickets.insert(ticket.clone(), Ticket { user: user.clone(), csrf: csrf.clone(), until });
        Ok(json!({"ticket": ticket, "CSRFPreventionToken": csrf, "username": user, "cap": {}}))
    }

    /// `GET /access/permissions`: everything, as both users have the whole lab.
    pub fn permissions(&self) -> Answer {
        const ALL: [&str; 22] = [
            "VM.Audit", "VM.Clone", "VM.Allocate", "VM.Config.Disk", "VM.Config.CPU", "VM.Config.Memory",
            "VM.Config.Options", "VM.Config.HWType", "VM.Config.Network", "VM.PowerMgmt", "VM.Snapshot",
            "VM.Snapshot.Rollback", "VM.Console", "VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted",
            "Datastore.AllocateSpace", "Datastore.Audit", "Mapping.Use", "Mapping.Audit", "Sys.Audit", "SDN.Use",
            "Pool.Audit",
        ];
        let all: serde_json::Map<_, _> = ALL.iter().map(|p| (p.to_string(), json!(1))).collect();
        Ok(json!({"/": all}))
    }
}

/// Compares without telling by its time where the difference is.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}

/// A secret that is made once and then read from its file.
fn kept(path: &Path, make: impl FnOnce() -> String) -> Result<SecretString> {
    if let Ok(old) = std::fs::read_to_string(path)
        && !old.trim().is_empty()
    {
        return Ok(SecretString::from(old.trim().to_string()));
    }
    let new = make();
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::io("create", path))?;
    file.write_all(new.as_bytes()).map_err(Error::io("write", path))?;
    Ok(SecretString::from(new))
}
