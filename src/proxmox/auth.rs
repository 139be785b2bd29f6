//! Logging in: API tokens, and tickets that are renewed before they age out.

use super::client::{Client, Failed};
use super::{Error, ErrorKind};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Up to this age a ticket is worth presenting as the password of the next: Proxmox takes it for 2 h.
const LIFE: Duration = Duration::from_secs(2 * 3600 - 300);
/// A refused password is not tried again for so long: each refusal takes Proxmox 3 s, and may lock the user out.
const REFUSAL: Duration = Duration::from_secs(5);

const CSRF: HeaderName = HeaderName::from_static("csrfpreventiontoken");

/// How to log in.
#[derive(Clone, Debug)]
pub enum Auth {
    /// An API token: preferred, because it cannot age out and has rights of its own.
    Token {
        /// `USER@REALM!ID`.
        id: String,
        /// The token's UUID.
        secret: SecretString,
    },
    /// A user's password, exchanged for tickets.
    Password {
        /// `USER@REALM`.
        username: String,
        /// The password.
        password: SecretString,
        /// Age at which a ticket is renewed; [`Auth::RENEW_AFTER`] unless there is a reason.
        renew_after: Duration,
    },
}

impl Auth {
    /// Half of the 2 h that a ticket lives.
    pub const RENEW_AFTER: Duration = Duration::from_secs(3600);

    /// A user's password, with tickets renewed in good time.
    pub fn password(username: impl Into<String>, password: SecretString) -> Auth {
        Auth::Password {
            username: username.into(),
            password,
            renew_after: Auth::RENEW_AFTER,
        }
    }
}

/// What requests are signed with.
pub(super) enum Credentials {
    Token(HeaderValue),
    Password(Session),
}

/// A user's tickets.
pub(super) struct Session {
    username: String,
    password: SecretString,
    renew_after: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ticket: Option<Arc<Ticket>>,
    refused: Option<(Instant, Error)>,
    unreached: Option<(Instant, usize, Error)>,
}

/// A login, good for about two hours.
pub(super) struct Ticket {
    cookie: HeaderValue,
    csrf: HeaderValue,
    text: SecretString,
    since: Instant,
    accepted: AtomicBool,
}

impl Ticket {
    fn new(answer: &Value) -> Result<Ticket, String> {
        if answer.get("NeedTFA").is_some_and(super::lenient::boolean) {
            return Err("the user needs a second factor, which mosdat cannot give; use an API token".to_string());
        }
        let field = |key: &str| {
            let text = answer.get(key).and_then(Value::as_str);
            text.ok_or_else(|| format!("the answer to the login has no {key}"))
        };
        let header = |text: String| {
            let made = HeaderValue::from_str(&text);
            let mut value = made.map_err(|_| "the ticket has characters that a header cannot carry".to_string())?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        };
        Ok(Ticket {
            cookie: header(format!("PVEAuthCookie={}", field("ticket")?))?,
            csrf: header(field("CSRFPreventionToken")?.to_string())?,
            text: field("ticket")?.into(),
            since: Instant::now(),
            accepted: AtomicBool::new(false),
        })
    }

    /// Notes whether Proxmox took it; `status` is that of an answer.
    pub(super) fn answered(&self, status: u16) {
        if status != 401 {
            self.accepted.store(true, Ordering::Relaxed);
        }
    }
}

/// The headers that sign one request, and the ticket they are of.
pub(super) struct Signature {
    pub(super) headers: HeaderMap,
    pub(super) ticket: Option<Arc<Ticket>>,
}

impl Credentials {
    pub(super) fn new(auth: &Auth) -> Result<Credentials, String> {
        match auth {
            Auth::Token { id, secret } => {
                let mut value = HeaderValue::from_str(&format!("PVEAPIToken={id}={}", secret.expose_secret()))
                    .map_err(|_| "the token has characters that a header cannot carry".to_string())?;
                value.set_sensitive(true);
                Ok(Credentials::Token(value))
            }
            Auth::Password {
                username,
                password,
                renew_after,
            } => {
                if !username.contains('@') {
                    return Err(format!(
                        "the user {username} has no realm; write {username}@pam or the like"
                    ));
                }
                Ok(Credentials::Password(Session {
                    username: username.clone(),
                    password: password.clone(),
                    renew_after: *renew_after,
                    state: Mutex::default(),
                }))
            }
        }
    }
}

impl Client {
    /// Signs a request to the endpoint `at`, logging in first where that is needed.
    pub(super) async fn sign(&self, at: usize, method: &Method) -> Result<Signature, Failed> {
        let mut headers = HeaderMap::new();
        match &self.inner.credentials {
            Credentials::Token(value) => {
                headers.insert(AUTHORIZATION, value.clone());
                Ok(Signature { headers, ticket: None })
            }
            Credentials::Password(session) => {
                let ticket = self.ticket(at, session).await?;
                headers.insert(COOKIE, ticket.cookie.clone());
                if method != Method::GET {
                    headers.insert(CSRF, ticket.csrf.clone());
                }
                Ok(Signature {
                    headers,
                    ticket: Some(ticket),
                })
            }
        }
    }

    /// Whether a request that got a 401 is worth one more try: only with a ticket that was taken before, which is
    /// dropped then. A 401 says that nothing was done, so this holds for writes too.
    pub(super) async fn outlived(&self, ticket: &Arc<Ticket>) -> bool {
        let Credentials::Password(session) = &self.inner.credentials else {
            return false;
        };
        if !ticket.accepted.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = session.state.lock().await;
        if state.ticket.as_ref().is_some_and(|t| Arc::ptr_eq(t, ticket)) {
            state.ticket = None;
        }
        true
    }

    /// The current ticket, renewed when it is due. Callers that need one at the same time wait for one login.
    async fn ticket(&self, at: usize, session: &Session) -> Result<Arc<Ticket>, Failed> {
        let asked = Instant::now();
        let mut state = session.state.lock().await;
        // Whoever waited while another one's login ended in nothing would wait as long again.
        if let Some((when, endpoint, e)) = &state.unreached
            && *when >= asked
            && *endpoint == at
        {
            return Err(Failed::Unreached(Box::new(e.clone())));
        }
        if let Some(old) = state.ticket.clone() {
            match due(old.since.elapsed(), session.renew_after) {
                Due::No => return Ok(old),
                Due::Renewal => match self.log_in(at, &session.username, &old.text).await {
                    Ok(new) => return Ok(state.ticket.insert(new).clone()),
                    // Revoked meanwhile: the password decides.
                    Err(Failed::Refused(e)) if e.kind == ErrorKind::Auth => {}
                    // The old one is good for some time yet.
                    Err(_) => return Ok(old),
                },
                Due::Login => {}
            }
            state.ticket = None;
        }
        if let Some((when, e)) = &state.refused
            && when.elapsed() < REFUSAL
        {
            return Err(Failed::Refused(Box::new(e.clone())));
        }
        match self.log_in(at, &session.username, &session.password).await {
            Ok(new) => {
                state.refused = None;
                Ok(state.ticket.insert(new).clone())
            }
            Err(Failed::Refused(e)) => {
                if e.kind == ErrorKind::Auth {
                    state.refused = Some((Instant::now(), (*e).clone()));
                }
                Err(Failed::Refused(e))
            }
            Err(e) => {
                state.unreached = Some((Instant::now(), at, e.error().clone()));
                Err(e)
            }
        }
    }

    /// `POST /access/ticket`. Whatever goes wrong on the way counts as not reached: the request that needed the
    /// ticket was not sent.
    async fn log_in(&self, at: usize, username: &str, password: &SecretString) -> Result<Arc<Ticket>, Failed> {
        const PATH: &str = "/access/ticket";
        let form = [
            ("username", username.to_string()),
            ("password", password.expose_secret().to_string()),
        ];
        let request = self.form(at, &Method::POST, PATH, &form);
        match self.exchange(at, &Method::POST, PATH, request).await {
            Ok(answer) => match Ticket::new(&answer) {
                Ok(ticket) => {
                    tracing::debug!(endpoint = %self.inner.endpoints[at], username, "logged in");
                    Ok(Arc::new(ticket))
                }
                Err(m) => Err(Failed::Refused(Box::new(self.error(
                    at,
                    "POST",
                    PATH,
                    ErrorKind::Auth,
                    m,
                )))),
            },
            Err(Failed::Lost(e)) => Err(Failed::Unreached(e)),
            Err(Failed::Refused(e)) if e.kind == ErrorKind::Transport => Err(Failed::Unreached(e)),
            Err(e) => Err(e),
        }
    }
}

/// What a ticket of some age needs before it is used.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    No,
    Renewal,
    Login,
}

fn due(age: Duration, renew_after: Duration) -> Due {
    if age >= LIFE {
        Due::Login
    } else if age >= renew_after {
        Due::Renewal
    } else {
        Due::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn logins_that_are_none() {
        let why = |v: Value| Ticket::new(&v).err().unwrap_or_default();
        assert!(why(json!({"NeedTFA": 1, "ticket": "PVE:!tfa!"})).contains("API token"));
        assert!(why(json!({"ticket": "PVE:x"})).contains("CSRFPreventionToken"));
        assert!(why(json!({"ticket": "a\nb", "CSRFPreventionToken": "c"})).contains("header"));
    }

    #[test]
    fn nothing_shows_a_ticket() {
        let t = Ticket::new(&json!({"ticket": "PVE:hidden", "CSRFPreventionToken": "hidden"})).expect("a ticket");
        assert!(!format!("{:?} {:?} {:?}", t.cookie, t.csrf, t.text).contains("hidden"));
        let auth = Auth::password("a@pve", "hidden".into());
        assert!(!format!("{auth:?}").contains("hidden"));
    }

    #[test]
    fn ages() {
        let minutes = |m: u64| due(Duration::from_secs(m * 60), Auth::RENEW_AFTER);
        assert_eq!([minutes(0), minutes(59)], [Due::No, Due::No]);
        assert_eq!([minutes(60), minutes(114)], [Due::Renewal, Due::Renewal]);
        assert_eq!([minutes(116), minutes(600)], [Due::Login, Due::Login]);
    }

    #[test]
    fn a_user_has_a_realm() {
        let auth = Auth::password("root", "x".into());
        assert!(Credentials::new(&auth).is_err_and(|e| e.contains("root@pam")));
    }
}
