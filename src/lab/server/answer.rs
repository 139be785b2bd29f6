//! Answers in Proxmox's form: `{"data": ...}`, and refusals whose text is the reason phrase too.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::ext::ReasonPhrase;
use serde_json::{Map, Value, json};

/// What a handler answers.
pub(super) type Answer = Result<Value, Refusal>;

/// A request that was not carried out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Reason phrase, and message of the body.
    pub reason: String,
    /// Texts per parameter (status 400).
    pub errors: Map<String, Value>,
    /// Whether there is a body; 401 and 596 have none.
    pub body: bool,
}

impl Refusal {
    fn new(status: u16, reason: impl Into<String>, body: bool) -> Refusal {
        Refusal { status, reason: reason.into(), errors: Map::new(), body }
    }

    /// The handler died with this text (500).
    pub fn die(text: impl Into<String>) -> Refusal {
        Refusal::new(500, text, true)
    }

    /// Not logged in, or wrongly (401, no body).
    pub fn unauthorized(text: &str) -> Refusal {
        Refusal::new(401, text, false)
    }

    /// No such path or method (501).
    pub fn not_implemented(method: &str, path: &str) -> Refusal {
        Refusal::new(501, format!("Method '{method} {path}' not implemented"), true)
    }

    /// The worker could not pass its answer on (596, no body): a command that does not exist in the guest.
    pub fn broken_pipe() -> Refusal {
        Refusal::new(596, "Broken pipe", false)
    }

    /// Wrong parameters (400), each with its text.
    pub fn parameters(errors: Map<String, Value>) -> Refusal {
        Refusal { errors, ..Refusal::new(400, "Parameter verification failed.", true) }
    }

    /// One wrong parameter (400).
    pub fn parameter(name: &str, text: impl Into<String>) -> Refusal {
        Refusal::parameters([(name.to_string(), Value::String(text.into()))].into_iter().collect())
    }

    /// A configuration that is not there. Proxmox answers 500, not 404.
    pub fn no_vm(vmid: u32) -> Refusal {
        let node = super::NODE;
        Refusal::die(format!("Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist"))
    }
}

impl From<crate::lab::Error> for Refusal {
    fn from(e: crate::lab::Error) -> Refusal {
        Refusal::die(e.to_string())
    }
}

/// The HTTP response of an answer.
pub(super) fn response(answer: Answer) -> Response<Full<Bytes>> {
    let (status, reason, body) = match answer {
        Ok(data) => (200, None, Some(json!({"data": data}))),
        Err(r) => {
            let mut body = json!({"data": null, "message": format!("{}\n", r.reason)});
            if !r.errors.is_empty() {
                body["errors"] = Value::Object(r.errors);
            }
            (r.status, Some(r.reason), r.body.then_some(body))
        }
    };
    let text = body.as_ref().map(Value::to_string).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if body.is_some() {
        let json = HeaderValue::from_static("application/json;charset=UTF-8");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
    }
    if status >= 400 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(reason) = reason {
        // One line of what a status line may hold.
        let line: Vec<u8> = reason.lines().next().unwrap_or_default().bytes().filter(|b| (32..127).contains(b)).collect();
        if let Ok(phrase) = ReasonPhrase::try_from(line) {
            response.extensions_mut().insert(phrase);
        }
    }
    response
}
