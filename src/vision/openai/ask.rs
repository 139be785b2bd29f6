//! Sending a picture and a prompt, with failover.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::super::Error;
use crate::proxmox::chain;

/// How often each address is asked, and the pause between the rounds.
const ROUNDS: u32 = 2;
const PAUSE: Duration = Duration::from_millis(500);
/// The longest wait a server's Retry-After can impose.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const MAX_BODY: usize = 1 << 20;

pub(super) struct Client {
    http: reqwest::Client,
    endpoints: Vec<Url>,
    api_key: Option<SecretString>,
    /// The address that answered last is asked first.
    preferred: AtomicUsize,
    /// Addresses that know nothing of schemas for answers, a bit each.
    plain: AtomicUsize,
    /// Most tokens of an answer: a few hundred bytes, and what a model thinks before it.
    max_tokens: u32,
}

/// What happened at one address.
struct Failure {
    text: String,
    /// False for what another try will not change (a wrong key, an unknown model).
    again: bool,
    /// The server refuses such requests, whatever the picture.
    refused: bool,
    /// The server says that it does not understand the request.
    malformed: bool,
    /// The answer was longer than it may be.
    cut: bool,
    /// There was an answer, and no text in it.
    empty: bool,
    wait: Option<Duration>,
}

impl Failure {
    fn new(text: impl Into<String>, again: bool) -> Failure {
        Failure {
            text: text.into(),
            again,
            refused: false,
            malformed: false,
            cut: false,
            empty: false,
            wait: None,
        }
    }
}

/// Who counts what asking takes, also where it leads to nothing.
pub(super) trait Meter: Sync {
    /// A request is about to be sent.
    ///
    /// # Errors
    /// A budget is spent; it is not sent then.
    fn sending(&self) -> Result<(), Error>;

    /// An answer took these tokens, of the request and its own.
    fn used(&self, tokens: (u64, u64));
}

/// Why there is no text: of one address, or of all.
enum Trouble {
    Here(Failure),
    Everywhere(Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble::Here(failure)
    }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    /// Servers differ in it: what cannot be read is not known.
    #[serde(default)]
    usage: serde_json::Value,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

impl Client {
    pub(super) fn new(
        bases: Vec<Url>,
        api_key: Option<SecretString>,
        timeout: Duration,
        max_tokens: u32,
    ) -> Result<Client, Error> {
        if max_tokens == 0 {
            return Err(Error::Config("answers of no tokens".into()));
        }
        if bases.is_empty() {
            return Err(Error::Config("no base URL for the VLM".into()));
        }
        let endpoint = |base: Url| {
            if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
                return Err(Error::Config(format!("{} is no http or https URL", shown(&base))));
            }
            let mut endpoint = base;
            let path = format!("{}/chat/completions", endpoint.path().trim_end_matches('/'));
            endpoint.set_path(&path);
            Ok(endpoint)
        };
        let endpoints = bases.into_iter().map(endpoint).collect::<Result<_, _>>()?;
        // Another part of the process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Redirects are not followed: they would carry the picture elsewhere.
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::Config(e.without_url().to_string()))?;
        Ok(Client {
            http,
            endpoints,
            api_key,
            preferred: AtomicUsize::new(0),
            plain: AtomicUsize::new(0),
            max_tokens,
        })
    }

    /// The model's text, kept to the JSON Schema by servers that can. Each address is asked at most [`ROUNDS`] times.
    pub(super) async fn complete(
        &self,
        model: &str,
        png: &[u8],
        prompt: &str,
        schema: Option<serde_json::Value>,
        meter: &dyn Meter,
    ) -> Result<String, Error> {
        let picture = format!("data:image/png;base64,{}", STANDARD.encode(png));
        let body = serde_json::json!({
            "model": model,
            "temperature": 0,
            "max_tokens": self.max_tokens,
            "stream": false,
            "messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": picture}},
                {"type": "text", "text": prompt},
            ]}],
        });
        let with_schema = schema.map(|schema| {
            let mut body = body.clone();
            body["response_format"] = serde_json::json!({
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": true, "schema": schema},
            });
            body.to_string()
        });
        let body = body.to_string();
        let count = self.endpoints.len();
        let first = self.preferred.load(Ordering::Relaxed);
        let mut order: Vec<usize> = (0..count).map(|i| (first + i) % count).collect();
        let mut attempts = Vec::new();
        let (mut refusals, mut cut, mut empty) = (0, false, false);
        let mut wait = PAUSE;
        for round in 0..ROUNDS {
            if round > 0 && !order.is_empty() {
                tokio::time::sleep(wait).await;
            }
            let (mut again, mut shortest) = (Vec::new(), None::<Duration>);
            for i in order {
                match self.either(i, with_schema.as_ref(), &body, meter).await {
                    Ok(text) => {
                        self.preferred.store(i, Ordering::Relaxed);
                        return Ok(text);
                    }
                    Err(Trouble::Everywhere(error)) => return Err(error),
                    Err(Trouble::Here(failure)) => {
                        let attempt = format!("{}: {}", shown(&self.endpoints[i]), failure.text);
                        tracing::debug!(model, attempt, "VLM request failed");
                        attempts.push(attempt);
                        refusals += usize::from(failure.refused);
                        cut |= failure.cut;
                        empty |= failure.empty;
                        if failure.again {
                            again.push(i);
                            let asked = failure.wait.unwrap_or(PAUSE).min(LONGEST_WAIT);
                            shortest = Some(shortest.map_or(asked, |s| s.min(asked)));
                        }
                    }
                }
            }
            (order, wait) = (again, shortest.unwrap_or(PAUSE));
        }
        let model = model.to_string();
        Err(match (cut, refusals == count) {
            (true, _) => Error::CutOff {
                model,
                most: self.max_tokens,
            },
            (false, true) => Error::Refused { model, attempts },
            (false, false) if empty => Error::Empty { model, attempts },
            (false, false) => Error::Unreachable { model, attempts },
        })
    }

    /// With the schema first, where there is one. A server that refuses that is asked without, now and from then on.
    async fn either(
        &self,
        i: usize,
        with_schema: Option<&String>,
        body: &str,
        meter: &dyn Meter,
    ) -> Result<String, Trouble> {
        let bit = 1 << i;
        if let Some(with_schema) = with_schema.filter(|_| self.plain.load(Ordering::Relaxed) & bit == 0) {
            let failure = match self.once(&self.endpoints[i], with_schema.clone(), meter).await {
                Err(Trouble::Here(failure)) if failure.malformed => failure,
                other => return other,
            };
            let text = self.once(&self.endpoints[i], body.to_string(), meter).await?;
            tracing::debug!(why = failure.text, "the server takes no schema for answers");
            self.plain.fetch_or(bit, Ordering::Relaxed);
            return Ok(text);
        }
        self.once(&self.endpoints[i], body.to_string(), meter).await
    }

    async fn once(&self, endpoint: &Url, body: String, meter: &dyn Meter) -> Result<String, Trouble> {
        meter.sending().map_err(Trouble::Everywhere)?;
        let mut request = self
            .http
            .post(endpoint.clone())
            .header("content-type", "application/json")
            .body(body);
        if let Some(key) = &self.api_key {
            request = request.bearer_auth(key.expose_secret());
        }
        let failed = |e: reqwest::Error| {
            let text = if e.is_timeout() {
                "no answer in time".into()
            } else {
                chain(&e.without_url())
            };
            Failure::new(text, true)
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let wait = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|v| v.to_str().ok()?.trim().parse().ok());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > MAX_BODY {
                return Err(Failure::new("its answer is longer than 1 MiB", false).into());
            }
            bytes.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            let again = status.is_server_error()
                || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
            let said = String::from_utf8_lossy(&bytes);
            // A server may repeat the key it refuses. It goes before the text is cut: half a key is not found any more.
            let said = match &self.api_key {
                Some(key) if !key.expose_secret().is_empty() => said.replace(key.expose_secret(), "***"),
                _ => said.into_owned(),
            };
            let said: String = said.chars().take(200).collect();
            let wait = wait.map(Duration::from_secs);
            return Err(Failure {
                text: format!("HTTP {status} {said}").trim().to_string(),
                again,
                refused: !again,
                malformed: matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY),
                cut: false,
                empty: false,
                wait,
            }
            .into());
        }
        let completion: Completion =
            serde_json::from_slice(&bytes).map_err(|e| Failure::new(format!("not a completion: {e}"), true))?;
        // What is of no use has been paid for all the same.
        let count = |name: &str| completion.usage[name].as_u64();
        if let Some(tokens) = count("prompt_tokens").zip(count("completion_tokens")) {
            meter.used(tokens);
        }
        let choice = completion
            .choices
            .into_iter()
            .next()
            .ok_or_else(|| Failure::new("no choices", true))?;
        if choice.finish_reason.as_deref() == Some("length") {
            return Err(Failure {
                cut: true,
                ..Failure::new("the answer was cut off", false)
            }
            .into());
        }
        let text = choice.message.content.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| {
            let failure = Failure::new("an answer without text", true);
            Failure { empty: true, ..failure }.into()
        })
    }
}

/// An address without user, password or query.
fn shown(url: &Url) -> String {
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    format!(
        "{}://{}{port}{}",
        url.scheme(),
        url.host_str().unwrap_or(""),
        url.path()
    )
}
