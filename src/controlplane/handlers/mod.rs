//! From a parsed request to an answer: which resource, which verb, which handler.

pub mod builtin;
mod delete;
mod list;
mod params;
mod update;
mod watch;
mod write;

pub use delete::{DeleteOptions, Propagation, remove};
pub use params::{ApiRequest, Params, decode_yaml};
pub use watch::{Event as WatchEvent, WatchStream};

use super::Inner;
use super::object::Stored;
use super::resource::{Class, Resource};
use super::status::{ApiError, ApiResult};
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;

/// A handler's answer, before it is given the form that the client asked for.
pub enum Reply {
    Object { code: u16, object: Arc<Stored>, warnings: Vec<String> },
    List(List),
    Json { code: u16, value: Value, warnings: Vec<String> },
    Watch(WatchStream),
}

/// A page of a list.
pub struct List {
    pub items: Vec<Arc<Stored>>,
    pub revision: u64,
    pub continue_token: Option<String>,
    pub remaining: Option<u64>,
}

/// What the path names.
#[derive(Clone)]
pub struct Target {
    pub resource: Arc<Resource>,
    /// Empty for cluster-scoped objects and for lists over all namespaces.
    pub namespace: String,
    pub name: Option<String>,
    /// The request is for the status subresource.
    pub status: bool,
    /// `namespaces/NAME/finalize`.
    pub finalize: bool,
}

/// Makes the namespace `default` if it is not there.
pub fn bootstrap(inner: &Inner) -> ApiResult<()> {
    let resource = inner.registry.find("", "v1", "namespaces").ok_or_else(ApiError::no_such_path)?;
    if inner.store.read().get(&resource.key, "", "default").is_some() {
        return Ok(());
    }
    let target = Target { resource, namespace: String::new(), name: None, status: false, finalize: false };
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
    write::create(inner, &target, body, &Params::internal("mosdat")).map(|_| ())
}

/// Finds the target of a path below `/api/v1` or `/apis/GROUP/VERSION`.
fn target(inner: &Inner, path: &str) -> ApiResult<Target> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, version, rest) = match parts[..] {
        ["api", version, ref rest @ ..] => ("", version, rest),
        ["apis", group, version, ref rest @ ..] => (group, version, rest),
        _ => return Err(ApiError::no_such_path()),
    };
    let find = |plural: &str| {
        inner.registry.find(group, version, plural).ok_or_else(|| match (group, plural) {
            ("authorization.k8s.io" | "authentication.k8s.io", what) => ApiError::not_implemented(what),
            _ => ApiError::no_such_path(),
        })
    };
    let (namespace, rest) = match rest {
        ["namespaces", ns, tail @ ..] if !tail.is_empty() && !(group.is_empty() && is_sub(tail)) => (*ns, tail),
        other => ("", other),
    };
    let (plural, name, sub) = match rest {
        [plural] => (*plural, None, None),
        [plural, name] => (*plural, Some(*name), None),
        [plural, name, sub] => (*plural, Some(*name), Some(*sub)),
        _ => return Err(ApiError::no_such_path()),
    };
    let resource = find(plural)?;
    if resource.namespaced && name.is_some() && namespace.is_empty() || !resource.namespaced && !namespace.is_empty() {
        return Err(ApiError::no_such_path());
    }
    let (status, finalize) = match sub {
        None => (false, false),
        Some("status") if resource.status => (true, false),
        Some("finalize") if resource.class == Class::Namespace => (false, true),
        Some(_) => return Err(ApiError::no_such_path()),
    };
    Ok(Target { resource, namespace: namespace.into(), name: name.map(String::from), status, finalize })
}

/// `/namespaces/NAME/status` and `/finalize` speak about the namespace, not about something in it.
fn is_sub(tail: &[&str]) -> bool {
    matches!(tail, ["status" | "finalize"])
}

/// Answers a request for a resource.
pub async fn resource(inner: &Arc<Inner>, request: &ApiRequest) -> ApiResult<(Arc<Resource>, Reply)> {
    let target = target(inner, &request.path)?;
    let resource = target.resource.clone();
    let params = Params::new(request)?;
    let read_only = resource.class == Class::Definition;
    let reply = match (&request.method, target.name.is_some()) {
        (&Method::GET, true) if params.watch => watch::start(inner, &target, &params),
        (&Method::GET, true) => list::get(inner, &target).map(|object| Reply::Object { code: 200, object, warnings: vec![] }),
        (&Method::GET, false) if params.watch => watch::start(inner, &target, &params),
        (&Method::GET, false) => list::list(inner, &target, &params).map(Reply::List),
        (&Method::POST | &Method::PUT | &Method::PATCH | &Method::DELETE, _) if read_only => {
            Err(ApiError::method_not_supported(resource.about(), verb(&request.method)))
        }
        (&Method::POST, false) if resource.namespaced && target.namespace.is_empty() => {
            Err(ApiError::method_not_allowed())
        }
        (&Method::DELETE, false) if !resource.verbs().contains(&"deletecollection") => {
            Err(ApiError::method_not_allowed())
        }
        (&Method::POST, false) => {
            let body = params::decode_body(request)?;
            blocking(inner, move |inner| write::create(inner, &target, body, &params)).await
        }
        (&Method::PUT, true) => {
            let body = params::decode_body(request)?;
            blocking(inner, move |inner| update::put(inner, &target, body, &params)).await
        }
        (&Method::PATCH, true) => {
            let patch = super::patch::Patch::decode(&request.content_type, &request.body)?;
            blocking(inner, move |inner| update::patch(inner, &target, patch, &params)).await
        }
        (&Method::DELETE, name) => {
            if target.status || target.finalize {
                return Err(ApiError::method_not_allowed());
            }
            let options = DeleteOptions::new(request, &params)?;
            blocking(inner, move |inner| match name {
                true => delete::one(inner, &target, &options),
                false => delete::collection(inner, &target, &params, &options),
            })
            .await
        }
        _ => Err(ApiError::method_not_allowed()),
    }?;
    Ok((resource, reply))
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        _ => "delete",
    }
}

/// Runs a write off the async threads: it waits for the disk.
async fn blocking<R: Send + 'static>(
    inner: &Arc<Inner>,
    f: impl FnOnce(&Inner) -> ApiResult<R> + Send + 'static,
) -> ApiResult<R> {
    let inner = inner.clone();
    tokio::task::spawn_blocking(move || f(&inner)).await.map_err(ApiError::internal)?
}
