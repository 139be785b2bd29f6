//! The `tower::Service`: reads the request, routes it, gives the answer the form that the client accepts.

use super::handlers::{ApiRequest, List, Reply, WatchStream};
use super::object::Stored;
use super::resource::Resource;
use super::status::{ApiError, ApiResult};
use super::table::{self, Include};
use super::{Inner, discovery, events, handlers, openapi};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The size of a request body, as kube-apiserver limits it (bytes).
const BODY_LIMIT: usize = 3 << 20;

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The API as a service; clones share the control plane.
#[derive(Clone)]
pub struct ApiService {
    inner: Arc<Inner>,
}

impl ApiService {
    pub fn new(inner: Arc<Inner>) -> Self {
        ApiService { inner }
    }
}

impl<B> tower::Service<Request<B>> for ApiService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tower::BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = self.inner.clone();
        Box::pin(async move { Ok(answer(&inner, request).await) })
    }
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Table,
    Partial,
}

async fn answer<B>(inner: &Arc<Inner>, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<tower::BoxError>,
{
    let result = match read(request).await {
        Ok(request) => route(inner, &request).await,
        Err(e) => Err(e),
    };
    result.unwrap_or_else(|e| error(&e))
}

/// An error as a response.
pub fn error(e: &ApiError) -> Response<Body> {
    respond(e.code, "application/json", &[], e.to_json().to_string().into())
}

async fn read<B>(request: Request<B>) -> ApiResult<ApiRequest>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<tower::BoxError>,
{
    let (parts, body) = request.into_parts();
    let header = |name: header::HeaderName| {
        let values = parts.headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok());
        values.collect::<Vec<_>>().join(",")
    };
    let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(|e| {
        if e.is::<http_body_util::LengthLimitError>() {
            ApiError::too_large(BODY_LIMIT)
        } else {
            ApiError::bad_request(format!("the body could not be read: {e}"))
        }
    })?;
    let path = percent_encoding::percent_decode_str(parts.uri.path()).decode_utf8_lossy().into_owned();
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes()).into_owned().collect();
    Ok(ApiRequest {
        query,
        path,
        accept: header(header::ACCEPT),
        content_type: header(header::CONTENT_TYPE),
        user_agent: header(header::USER_AGENT),
        method: parts.method,
        body: body.to_bytes(),
    })
}

async fn route(inner: &Arc<Inner>, request: &ApiRequest) -> ApiResult<Response<Body>> {
    let path = request.path.trim_end_matches('/');
    if matches!(path, "/healthz" | "/livez" | "/readyz") || path.starts_with("/readyz/") || path.starts_with("/livez/") {
        return Ok(respond(200, "text/plain; charset=utf-8", &[], "ok".into()));
    }
    if request.method == Method::GET {
        if let Some((media, value)) = discovery::answer(&inner.registry, path, &request.accept) {
            return Ok(respond(200, media, &[], value.to_string().into()));
        }
        if let Some(document) = openapi::answer(&inner.registry, path, &request.accept)? {
            return Ok(respond(200, "application/json", &[], document.to_string().into()));
        }
    }
    if !path.starts_with("/api/v1/") && !path.starts_with("/apis/") {
        return Err(ApiError::no_such_path());
    }
    let form = negotiate(&request.accept)?;
    let (resource, reply) = handlers::resource(inner, request).await?;
    let include = match request.query.get("includeObject").map(String::as_str) {
        None | Some("" | "Metadata") => Include::Metadata,
        Some("Object") => Include::Object,
        Some("None") => Include::None,
        Some(other) => return Err(ApiError::bad_request(format!("unrecognized includeObject value: {other:?}"))),
    };
    Ok(match reply {
        Reply::Object { code, object, warnings } => {
            let body = match form {
                Form::Plain => Bytes::from(events::bytes_to_wire(&resource, &object).into_owned()),
                Form::Partial => table::partial(&events::to_wire(&resource, object.value())).to_string().into(),
                Form::Table => {
                    let meta = json!({"resourceVersion": object.resource_version.to_string()});
                    table::table(&resource, &[object], meta, include, true).to_string().into()
                }
            };
            respond(code, "application/json", &warnings, body)
        }
        Reply::List(list) => respond(200, "application/json", &[], list_body(&resource, list, form, include)),
        Reply::Json { code, value, warnings } => {
            respond(code, "application/json", &warnings, value.to_string().into())
        }
        Reply::Watch(stream) => watch(stream, form, include),
    })
}

/// Picks the first form of the Accept header that is served.
fn negotiate(accept: &str) -> ApiResult<Form> {
    if accept.trim().is_empty() {
        return Ok(Form::Plain);
    }
    for item in accept.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let media = parts.next().unwrap_or("");
        if !matches!(media, "application/json" | "application/*" | "*/*") {
            continue;
        }
        let (mut kind, mut group, mut version) = ("", "", "");
        for p in parts {
            match p.split_once('=') {
                Some(("as", v)) => kind = v,
                Some(("g", v)) => group = v,
                Some(("v", v)) => version = v,
                _ => {}
            }
        }
        match (kind, group, version) {
            ("", _, _) => return Ok(Form::Plain),
            ("Table", "meta.k8s.io", "v1") => return Ok(Form::Table),
            ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1") => return Ok(Form::Partial),
            _ => {}
        }
    }
    Err(ApiError::not_acceptable("application/json"))
}

fn list_body(resource: &Resource, list: List, form: Form, include: Include) -> Bytes {
    let mut meta = json!({"resourceVersion": list.revision.to_string()});
    if let Some(token) = list.continue_token {
        meta["continue"] = token.into();
    }
    if let Some(n) = list.remaining {
        meta["remainingItemCount"] = n.into();
    }
    if form == Form::Table {
        return table::table(resource, &list.items, meta, include, true).to_string().into();
    }
    let (kind, api_version) = match form {
        Form::Partial => ("PartialObjectMetadataList".to_string(), "meta.k8s.io/v1".to_string()),
        _ => (resource.list_kind.clone(), resource.api_version()),
    };
    // Assembled from the stored bytes: a list is not parsed and printed again.
    let mut out = Vec::with_capacity(list.items.iter().map(|i| i.json.len() + 1).sum::<usize>() + 256);
    out.extend_from_slice(
        format!(r#"{{"apiVersion":{},"kind":{},"metadata":{meta},"items":["#, json!(api_version), json!(kind)).as_bytes(),
    );
    for (i, item) in list.items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&object_body(resource, item, form));
    }
    out.extend_from_slice(b"]}");
    out.into()
}

fn object_body(resource: &Resource, item: &Stored, form: Form) -> Vec<u8> {
    match form {
        Form::Partial => table::partial(&events::to_wire(resource, item.value())).to_string().into_bytes(),
        _ => events::bytes_to_wire(resource, item).into_owned(),
    }
}

fn watch(stream: WatchStream, form: Form, include: Include) -> Response<Body> {
    let resource = stream.resource.clone();
    let frames = futures::stream::unfold((stream, true), move |(mut stream, first)| {
        let resource = resource.clone();
        async move {
            let event = stream.next().await?;
            let line = watch_line(&resource, event, form, include, first);
            Some((Ok::<_, Infallible>(http_body::Frame::data(line)), (stream, false)))
        }
    });
    let body = StreamBody::new(frames).boxed_unsync();
    build(200, "application/json", &[], body)
}

fn watch_line(
    resource: &Resource,
    event: handlers::WatchEvent,
    form: Form,
    include: Include,
    first: bool,
) -> Bytes {
    use handlers::WatchEvent as Event;
    let line = |word: &str, object: &[u8]| {
        let mut out = Vec::with_capacity(object.len() + 40);
        out.extend_from_slice(format!(r#"{{"type":"{word}","object":"#).as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"}\n");
        Bytes::from(out)
    };
    let in_form = |object: Arc<Stored>| -> Vec<u8> {
        if form == Form::Table {
            let meta = json!({"resourceVersion": object.resource_version.to_string()});
            table::table(resource, &[object], meta, include, first).to_string().into_bytes()
        } else {
            object_body(resource, &object, form)
        }
    };
    match event {
        Event::Object(word, object) => line(word, &in_form(object)),
        Event::Error(e) => line("ERROR", e.to_json().to_string().as_bytes()),
        Event::Bookmark(revision, last_initial) => {
            let mut meta = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
            if last_initial {
                meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
            }
            let object: Value = match form {
                Form::Table => table::table(resource, &[], meta, include, first),
                Form::Partial => {
                    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta})
                }
                Form::Plain => {
                    json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": meta})
                }
            };
            line("BOOKMARK", object.to_string().as_bytes())
        }
    }
}

fn respond(code: u16, media: &'static str, warnings: &[String], body: Bytes) -> Response<Body> {
    build(code, media, warnings, Full::new(body).boxed_unsync())
}

fn build(code: u16, media: &'static str, warnings: &[String], body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache, private"));
    for w in warnings {
        let quoted = w.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(v) = header::HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            headers.append(header::WARNING, v);
        }
    }
    response
}
