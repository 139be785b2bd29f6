//! A layer around a `kube::Client`: each request through the gate, watches that can be held back.

use crate::gate::Gate;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use kube::client::Body;
use serde_json::Value;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{BoxError, Service};

#[derive(Clone)]
pub struct Gated {
    pub inner: kube::Client,
    pub gate: Arc<Gate>,
}

/// A client whose requests pass the gate.
pub fn client(inner: kube::Client, gate: Arc<Gate>) -> kube::Client {
    kube::Client::new(Gated { inner, gate }, "default")
}

type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;
type Answer = Result<Response<AnswerBody>, BoxError>;

impl Service<Request<Body>> for Gated {
    type Response = Response<AnswerBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Gated { inner, gate } = self.clone();
        Box::pin(async move { pass(inner, gate, request).await })
    }
}

async fn forward(inner: kube::Client, request: Request<Body>) -> Answer {
    let answer = inner.send(request).await?;
    Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
}

async fn pass(inner: kube::Client, gate: Arc<Gate>, request: Request<Body>) -> Answer {
    let path = request.uri().path().to_string();
    let watching = request.uri().query().is_some_and(|q| q.contains("watch="));
    if request.method() == Method::GET {
        let plural = path.rsplit('/').next().unwrap_or_default().to_string();
        let stale = gate.stale_lists.lock().expect("lock").get(&plural).cloned();
        if let Some(list) = stale.filter(|_| !watching) {
            let answer = Response::builder().header("content-type", "application/json");
            return Ok(answer.body(Full::from(list).map_err(|e| match e {}).boxed_unsync())?);
        }
        let kind = if watching { "kube watches" } else { "kube reads" };
        let answer = gate.other(kind, forward(inner, request)).await?;
        return Ok(if watching { held(answer, gate) } else { answer });
    }
    let (parts, body) = request.into_parts();
    let bytes = body.collect_bytes().await?;
    let what = label(&parts.method, &path, &bytes);
    let request = Request::from_parts(parts, Body::from(bytes));
    if path.contains("/events") {
        gate.other("kube events", forward(inner, request)).await
    } else {
        gate.write(what, forward(inner, request)).await
    }
}

/// Which write it is, in words that are the same in every run.
fn label(method: &Method, path: &str, body: &[u8]) -> String {
    let short = path.rsplit("/namespaces/default/").next().unwrap_or(path);
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let status = &body["status"];
    let text = |v: &Value| v.as_str().unwrap_or("-").to_string();
    let mut more = vec![];
    if short.starts_with("proxmoxvms") && status.is_object() {
        let ready = status["conditions"].as_array().into_iter().flatten();
        let reason = ready
            .filter(|c| c["type"] == "Ready")
            .map(|c| text(&c["reason"]))
            .next();
        more.push(text(&status["phase"]));
        more.push(reason.unwrap_or_default());
        let intent = &status["intent"];
        let upid = if intent["upid"].is_string() { "+upid" } else { "" };
        more.push(format!("{}{upid}", text(&intent["action"])));
        let asked = &status["operation"];
        if asked.is_object() {
            more.push(format!("{} {}", text(&asked["action"]), text(&asked["state"])));
        }
        if status["holder"].is_object() {
            more.push("held".to_string());
        }
    } else if short.starts_with("functionaltestruns") && status.is_object() {
        more.push(text(&status["phase"]));
    } else if let Some(leases) = status["leases"].as_array() {
        more.push(format!("{} lease(s)", leases.len()));
    } else if let Some(list) = body["metadata"]["finalizers"].as_array().filter(|_| status.is_null()) {
        more.push(format!("{} finalizer(s)", list.len()));
    }
    format!("kube {method} {short} {}", more.join("/"))
        .trim_end()
        .to_string()
}

/// Delivers nothing while watches are held, and nothing at all once the gate is dead.
fn held(answer: Response<AnswerBody>, gate: Arc<Gate>) -> Response<AnswerBody> {
    answer.map(|body| {
        let frames = BodyStream::new(body).then(move |frame| {
            let gate = gate.clone();
            async move {
                let _ = gate.watches_held.subscribe().wait_for(|held| !held).await;
                gate.alive().await;
                frame
            }
        });
        StreamBody::new(frames).boxed_unsync()
    })
}
