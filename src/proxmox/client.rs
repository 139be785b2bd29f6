//! Requests: encoding, authentication, time limits, retries and failing over.

use super::{Error, ErrorKind, Tls, Upid, classify, tls};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use url::Url;

/// Proxmox splits forms at `&` and `;` and at every `=`: everything but unreserved characters is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How to log in.
#[derive(Clone, Debug)]
pub enum Auth {
    /// An API token.
    Token {
        /// `USER@REALM!ID`.
        id: String,
        /// The token's UUID.
        secret: SecretString,
    },
}

/// Where the API is and how to use it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Base URLs of one cluster's API, tried in order when connecting fails.
    pub endpoints: Vec<Url>,
    /// Credentials.
    pub auth: Auth,
    /// Trust in the certificate.
    pub tls: Tls,
    /// Limit on one request, answer included.
    pub timeout: Duration,
}

/// A Proxmox VE API client. Cloning is cheap and shares connections.
#[derive(Clone)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    http: reqwest::Client,
    pub(super) tls: Arc<rustls::ClientConfig>,
    pub(super) endpoints: Vec<Url>,
    current: AtomicUsize,
    pub(super) authorization: HeaderValue,
    pub(super) timeout: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("endpoints", &self.inner.endpoints)
            .finish()
    }
}

/// Parameters of a call; a key that occurs several times is an array.
pub(super) type Params<'a> = Vec<(&'a str, String)>;

impl Client {
    /// Sets the client up. Nothing is sent.
    pub fn new(config: Config) -> Result<Client, Error> {
        let first = config.endpoints.first().map(Url::to_string).unwrap_or_default();
        let fail = |message: String| Error::new(ErrorKind::Parameter, &first, "", "", message);
        if config.endpoints.is_empty() {
            return Err(fail("no endpoint is given".to_string()));
        }
        for url in &config.endpoints {
            if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
                return Err(fail(format!("endpoint {url} is no https URL")));
            }
        }
        let tls = tls::client_config(&config.tls).map_err(fail)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(config.timeout.min(Duration::from_secs(10)))
            .timeout(config.timeout)
            // pveproxy drops a connection that idles for 5 s.
            .pool_idle_timeout(Duration::from_secs(3))
            .build()
            .map_err(|e| fail(format!("the HTTP client cannot be set up: {e}")))?;
        let Auth::Token { id, secret } = &config.auth;
        let mut authorization = HeaderValue::from_str(&format!("PVEAPIToken={id}={}", secret.expose_secret()))
            .map_err(|_| fail("the token has characters that a header cannot carry".to_string()))?;
        authorization.set_sensitive(true);
        Ok(Client {
            inner: Arc::new(Inner {
                http,
                tls: Arc::new(tls),
                endpoints: config.endpoints,
                current: AtomicUsize::new(0),
                authorization,
                timeout: config.timeout,
            }),
        })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: Params<'_>) -> Result<T, Error> {
        let (v, at) = self.call(Method::GET, path, query).await?;
        self.decode(v, at, "GET", path)
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, form: Params<'_>) -> Result<T, Error> {
        let (v, at) = self.call(Method::POST, path, form).await?;
        self.decode(v, at, "POST", path)
    }

    /// A call that starts a task.
    pub(super) async fn task(&self, method: Method, path: &str, params: Params<'_>) -> Result<Upid, Error> {
        let name = method_name(&method);
        let (v, at) = self.call(method, path, params).await?;
        v.as_str().and_then(Upid::parse).ok_or_else(|| {
            self.error(
                at,
                name,
                path,
                ErrorKind::Other,
                format!("expected a task's UPID, got {v}"),
            )
        })
    }

    pub(super) fn error(
        &self,
        at: usize,
        method: &'static str,
        path: &str,
        kind: ErrorKind,
        message: impl Into<String>,
    ) -> Error {
        let endpoint = self.inner.endpoints.get(at).map(base).unwrap_or_default();
        Error::new(kind, &endpoint, method, path, message)
    }

    fn decode<T: DeserializeOwned>(&self, v: Value, at: usize, method: &'static str, path: &str) -> Result<T, Error> {
        serde_json::from_value(v).map_err(|e| {
            self.error(
                at,
                method,
                path,
                ErrorKind::Other,
                format!("the answer is not what was expected: {e}"),
            )
        })
    }

    /// Sends a request; the answer's `data` and the index of the endpoint that gave it.
    ///
    /// Another endpoint is tried when connecting fails (nothing was sent then). A GET that died is sent once more.
    pub(super) async fn call(&self, method: Method, path: &str, params: Params<'_>) -> Result<(Value, usize), Error> {
        let n = self.inner.endpoints.len();
        let encoded = encode(&params);
        let mut unreached = 0;
        let mut again = method == Method::GET;
        loop {
            let at = self.inner.current.load(Ordering::Relaxed) % n;
            match self.send(at, &method, path, &encoded).await {
                Ok(v) => return Ok((v, at)),
                Err(Failed::Refused(e)) => return Err(*e),
                Err(Failed::Unreached(e)) => {
                    unreached += 1;
                    self.inner.current.store(at + 1, Ordering::Relaxed);
                    if unreached >= n {
                        return Err(*e);
                    }
                }
                Err(Failed::Lost(e)) => {
                    if !std::mem::take(&mut again) {
                        return Err(*e);
                    }
                }
            }
        }
    }

    async fn send(&self, at: usize, method: &Method, path: &str, encoded: &str) -> Result<Value, Failed> {
        let name = method_name(method);
        let mut url = self.url(at, path);
        let mut request = if method == Method::POST || method == Method::PUT {
            self.inner
                .http
                .request(method.clone(), url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(encoded.to_string())
        } else {
            if !encoded.is_empty() {
                url.set_query(Some(encoded));
            }
            self.inner.http.request(method.clone(), url)
        };
        request = request.header(AUTHORIZATION, self.inner.authorization.clone());
        let failed = |e: reqwest::Error| {
            let unreached = e.is_connect();
            let late = e.is_timeout();
            let e = Box::new(self.error(at, name, path, ErrorKind::Transport, chain(&e.without_url())));
            match (unreached, late) {
                (true, _) => Failed::Unreached(e),
                (false, true) => Failed::Refused(e),
                (false, false) => Failed::Lost(e),
            }
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let reason = response
            .extensions()
            .get::<hyper::ext::ReasonPhrase>()
            .map(|r| String::from_utf8_lossy(r.as_bytes()).into_owned())
            .or_else(|| response.status().canonical_reason().map(str::to_string));
        let body = response.bytes().await.map_err(failed)?;
        let parsed: Option<Value> = serde_json::from_slice(&body).ok();
        if (200..300).contains(&status) {
            return match parsed {
                Some(Value::Object(mut o)) => Ok(o.remove("data").unwrap_or(Value::Null)),
                _ => Err(Failed::Refused(Box::new(self.error(
                    at,
                    name,
                    path,
                    ErrorKind::Other,
                    format!("{status} with a body that is not Proxmox's JSON"),
                )))),
            };
        }
        let text = |key: &str| {
            let v = parsed.as_ref()?.get(key)?.as_str()?.trim();
            (!v.is_empty()).then(|| v.to_string())
        };
        let message = text("message")
            .or(reason)
            .unwrap_or_else(|| "no text was given".to_string());
        let mut fields = BTreeMap::new();
        if let Some(errors) = parsed.as_ref().and_then(|p| p.get("errors")).and_then(Value::as_object) {
            for (k, v) in errors {
                fields.insert(
                    k.clone(),
                    v.as_str().map_or_else(|| v.to_string(), |s| s.trim().to_string()),
                );
            }
        }
        let mut e = self.error(at, name, path, classify(Some(status), path, &message, &fields), message);
        e.status = Some(status);
        e.fields = fields;
        Err(Failed::Refused(Box::new(e)))
    }

    pub(super) fn url(&self, at: usize, path: &str) -> Url {
        let mut url = self.inner.endpoints[at].clone();
        let prefix = url.path().trim_end_matches('/').to_string();
        url.set_path(&format!("{prefix}/api2/json{path}"));
        url
    }
}

/// Why there is no answer, by what may be done about it.
enum Failed {
    /// Nothing was sent.
    Unreached(Box<Error>),
    /// Sent, and the connection died.
    Lost(Box<Error>),
    /// Answered, or out of time.
    Refused(Box<Error>),
}

fn method_name(m: &Method) -> &'static str {
    match m.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        _ => "DELETE",
    }
}

pub(super) fn base(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_string()
}

/// The whole chain of causes: reqwest's own text rarely says why.
fn chain(e: &dyn std::error::Error) -> String {
    let mut out = e.to_string();
    let mut source = e.source();
    while let Some(s) = source {
        let text = s.to_string();
        if !out.contains(&text) {
            let _ = write!(out, ": {text}");
        }
        source = s.source();
    }
    out
}

/// Percent-encodes one path segment or value.
pub(super) fn esc(s: &str) -> String {
    utf8_percent_encode(s, RESERVED).to_string()
}

pub(super) fn encode(params: &[(&str, String)]) -> String {
    let pairs: Vec<String> = params.iter().map(|(k, v)| format!("{}={}", esc(k), esc(v))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_unreserved_is_encoded() {
        let p = [
            ("tags", "a;b".to_string()),
            ("size", "+1G".to_string()),
            ("x", "ä=&".to_string()),
        ];
        assert_eq!(encode(&p), "tags=a%3Bb&size=%2B1G&x=%C3%A4%3D%26");
    }
}
