//! Requests: authentication, time limits, retries and failing over.

use super::auth::{Auth, Credentials};
use super::chain::chain;
use super::observer::{Observer, Seen};
use super::wire::{Params, base, encode, method_name, template};
use super::{Error, ErrorKind, Tls, Upid, classify, tls};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use url::Url;

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
    observer: Option<Arc<dyn Observer>>,
}

pub(super) struct Inner {
    pub(super) http: reqwest::Client,
    pub(super) tls: Arc<rustls::ClientConfig>,
    pub(super) endpoints: Vec<Url>,
    current: AtomicUsize,
    pub(super) credentials: Credentials,
    pub(super) timeout: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("endpoints", &self.inner.endpoints)
            .finish()
    }
}

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
        let credentials = Credentials::new(&config.auth).map_err(fail)?;
        Ok(Client {
            inner: Arc::new(Inner {
                http,
                tls: Arc::new(tls),
                endpoints: config.endpoints,
                current: AtomicUsize::new(0),
                credentials,
                timeout: config.timeout,
            }),
            observer: None,
        })
    }

    /// The same client (sharing connections and login), whose every request `observer` is told of.
    pub fn observed(&self, observer: Arc<dyn Observer>) -> Client {
        Client {
            inner: self.inner.clone(),
            observer: Some(observer),
        }
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
        self.upid(&v, at, name, path)
    }

    /// The UPID that an answer is.
    pub(super) fn upid(&self, v: &Value, at: usize, name: &'static str, path: &str) -> Result<Upid, Error> {
        v.as_str().and_then(Upid::parse).ok_or_else(|| {
            let text = format!("expected a task's UPID, got {v}");
            self.error(at, name, path, ErrorKind::Other, text)
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
    /// Another endpoint is tried when connecting fails (nothing was sent then). A GET that died is sent once more, a
    /// write never is.
    pub(super) async fn call(&self, method: Method, path: &str, params: Params<'_>) -> Result<(Value, usize), Error> {
        let n = self.inner.endpoints.len();
        let mut unreached: BTreeMap<usize, Error> = BTreeMap::new();
        let mut tries = 0;
        let mut again = method == Method::GET;
        loop {
            let at = self.endpoint();
            match self.send(at, &method, path, &params).await {
                Ok(v) => return Ok((v, at)),
                Err(Failed::Refused(e)) => {
                    // Out of time. This request may have arrived and is not repeated, but the next one goes elsewhere.
                    if e.status.is_none() {
                        self.leave(at);
                    }
                    return Err(*e);
                }
                Err(Failed::Unreached(e)) => {
                    tries += 1;
                    unreached.insert(at, *e);
                    self.leave(at);
                    if tries >= n {
                        return Err(together(unreached));
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

    /// Uses another endpoint from here on: this one was not reached.
    pub(super) fn leave(&self, at: usize) {
        self.inner.current.store(at + 1, Ordering::Relaxed);
    }

    /// Index of the endpoint in use.
    pub(super) fn endpoint(&self) -> usize {
        self.inner.current.load(Ordering::Relaxed) % self.inner.endpoints.len()
    }

    /// One signed request, and a second one when the ticket had outlived itself.
    async fn send(&self, at: usize, method: &Method, path: &str, params: &[(&str, String)]) -> Result<Value, Failed> {
        let signature = self.sign(at, method).await?;
        let request = self.form(at, method, path, params).headers(signature.headers);
        let answer = self.exchange(at, method, path, request).await;
        let Some(ticket) = signature.ticket else { return answer };
        match &answer {
            Ok(_) => ticket.answered(200),
            Err(Failed::Refused(e)) => {
                if let Some(status) = e.status {
                    ticket.answered(status);
                    if status == 401 && self.outlived(&ticket).await {
                        let headers = self.sign(at, method).await?.headers;
                        let request = self.form(at, method, path, params).headers(headers);
                        return self.exchange(at, method, path, request).await;
                    }
                }
            }
            Err(_) => {}
        }
        answer
    }

    /// A request with its parameters where Proxmox wants them: in the body of POST and PUT, in the query of the others.
    pub(super) fn form(
        &self,
        at: usize,
        method: &Method,
        path: &str,
        params: &[(&str, String)],
    ) -> reqwest::RequestBuilder {
        let encoded = encode(params);
        let mut url = self.url(at, path);
        if method == Method::POST || method == Method::PUT {
            // A body of known length: it leaves together with the headers. One that comes later is dropped by some
            // versions of Proxmox's server when the request is signed with a ticket.
            return self
                .inner
                .http
                .request(method.clone(), url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(encoded);
        }
        if !encoded.is_empty() {
            url.set_query(Some(&encoded));
        }
        self.inner.http.request(method.clone(), url)
    }

    /// Sends one request and tells the observer.
    pub(super) async fn exchange(
        &self,
        at: usize,
        method: &Method,
        path: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<Value, Failed> {
        let begun = Instant::now();
        let (status, result) = self.transfer(at, method_name(method), path, request).await;
        let error = result.as_ref().err().map(|e| e.error().kind);
        self.tell(method_name(method), path, status, error, begun);
        result
    }

    /// Tells the observer of a request that has ended.
    pub(super) fn tell(
        &self,
        method: &'static str,
        path: &str,
        status: Option<u16>,
        error: Option<ErrorKind>,
        begun: Instant,
    ) {
        if let Some(observer) = &self.observer {
            observer.seen(&Seen {
                method,
                path: &template(path),
                status,
                error,
                duration: begun.elapsed(),
            });
        }
    }

    async fn transfer(
        &self,
        at: usize,
        name: &'static str,
        path: &str,
        request: reqwest::RequestBuilder,
    ) -> (Option<u16>, Result<Value, Failed>) {
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
        let response = match request.send().await {
            Ok(r) => r,
            Err(e) => return (None, Err(failed(e))),
        };
        let status = response.status();
        let reason = response
            .extensions()
            .get::<hyper::ext::ReasonPhrase>()
            .map(|r| String::from_utf8_lossy(r.as_bytes()).into_owned())
            .or_else(|| status.canonical_reason().map(str::to_string));
        let status = status.as_u16();
        match response.bytes().await {
            Ok(body) => (Some(status), self.judge(at, name, path, status, reason, &body)),
            Err(e) => (Some(status), Err(failed(e))),
        }
    }

    /// What an answer says.
    fn judge(
        &self,
        at: usize,
        name: &'static str,
        path: &str,
        status: u16,
        reason: Option<String>,
        body: &[u8],
    ) -> Result<Value, Failed> {
        let parsed: Option<Value> = serde_json::from_slice(body).ok();
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
        let mut message = text("message")
            .or(reason.filter(|r| !r.is_empty()))
            .unwrap_or_else(|| "no text was given".to_string());
        if (300..400).contains(&status) {
            // Redirects are not followed: the login would go to wherever the answer points.
            message = format!(
                "{message}: the endpoint sends its callers elsewhere, so it is not Proxmox's API itself; give the API's own address, as https://HOST:8006"
            );
        }
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

/// One error for all endpoints that were not reached, in the order in which they are declared: the same every time.
fn together(all: BTreeMap<usize, Error>) -> Error {
    let told: Vec<String> = all.values().map(|e| format!("{}: {}", e.endpoint, e.message)).collect();
    let endpoints: Vec<String> = all.values().map(|e| e.endpoint.clone()).collect();
    let mut list = all.into_values();
    let (first, more) = (list.next(), list.next().is_some());
    let mut e = first.unwrap_or_else(|| Error::new(ErrorKind::Transport, "", "", "", "no endpoint is given"));
    if more {
        e.endpoint = endpoints.join(", ");
        e.message = format!("no endpoint was reached ({})", told.join("; "));
    }
    e
}

/// Why there is no answer, by what may be done about it.
pub(super) enum Failed {
    /// Nothing was sent.
    Unreached(Box<Error>),
    /// Sent, and the connection died.
    Lost(Box<Error>),
    /// Answered, or out of time.
    Refused(Box<Error>),
}

impl Failed {
    pub(super) fn error(&self) -> &Error {
        match self {
            Failed::Unreached(e) | Failed::Lost(e) | Failed::Refused(e) => e,
        }
    }

    pub(super) fn into_error(self) -> Error {
        match self {
            Failed::Unreached(e) | Failed::Lost(e) | Failed::Refused(e) => *e,
        }
    }
}
