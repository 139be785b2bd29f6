//! get and list.

use super::{List, Params, Target};
use crate::controlplane::Inner;
use crate::controlplane::object::{Stored, now};
use crate::controlplane::resource::Class;
use crate::controlplane::selectors::Selector;
use crate::controlplane::status::{ApiError, ApiResult};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::Arc;

pub fn get(inner: &Inner, target: &Target) -> ApiResult<Arc<Stored>> {
    let name = target.name.as_deref().unwrap_or("");
    let missing = || ApiError::not_found(target.resource.about(), name);
    if target.resource.class == Class::Definition {
        return definitions(inner).into_iter().find(|d| d.name == name).ok_or_else(missing);
    }
    inner.store.read().get(&target.resource.key, &target.namespace, name).cloned().ok_or_else(missing)
}

/// The served definitions, as the objects that a cluster would hold.
pub fn definitions(inner: &Inner) -> Vec<Arc<Stored>> {
    let list = inner.registry.definitions.iter().map(|raw| {
        let mut d = raw.clone();
        d["apiVersion"] = "apiextensions.k8s.io/v1".into();
        d["kind"] = "CustomResourceDefinition".into();
        let name = d["metadata"]["name"].as_str().unwrap_or("").to_string();
        let meta = &mut d["metadata"];
        meta["resourceVersion"] = "1".into();
        meta["generation"] = 1.into();
        meta["creationTimestamp"] = process_start().into();
        // The same definition always has the same uid: it is not stored.
        let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(name.as_bytes()));
        meta["uid"] =
            format!("{}-{}-4{}-8{}-{}", &hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..32]).into();
        let names = d["spec"]["names"].clone();
        let condition = |ty: &str, reason: &str, message: &str| {
            json!({"type": ty, "status": "True", "reason": reason, "message": message,
                "lastTransitionTime": process_start()})
        };
        d["status"] = json!({"acceptedNames": names, "storedVersions": [d["spec"]["versions"][0]["name"]],
            "conditions": [condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted")]});
        Arc::new(Stored::new(&d))
    });
    list.collect()
}

fn process_start() -> &'static str {
    static START: std::sync::LazyLock<String> = std::sync::LazyLock::new(now);
    &START
}

/// The position after which a continued list goes on.
struct Token {
    revision: u64,
    after: (String, String),
}

impl Token {
    fn encode(&self) -> String {
        let v = json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": [self.after.0, self.after.1]});
        URL_SAFE_NO_PAD.encode(v.to_string())
    }

    fn decode(s: &str) -> ApiResult<Token> {
        let bad = || ApiError::bad_request("continue key is not valid: illegal token");
        let bytes = URL_SAFE_NO_PAD.decode(s).map_err(|_| bad())?;
        let v: Value = serde_json::from_slice(&bytes).map_err(|_| bad())?;
        let text = |p: &str| v.pointer(p).and_then(Value::as_str).map(String::from);
        match (v["rv"].as_u64(), text("/start/0"), text("/start/1")) {
            (Some(revision), Some(ns), Some(name)) => Ok(Token { revision, after: (ns, name) }),
            _ => Err(bad()),
        }
    }
}

/// Lists. A continued list shows the objects as they are now under the first page's resourceVersion: a watch from
/// there replays what changed in between, so nothing is lost.
pub fn list(inner: &Inner, target: &Target, params: &Params) -> ApiResult<List> {
    let resource = &target.resource;
    let selector =
        Selector::parse(resource, params.label_selector.as_deref(), params.field_selector.as_deref())?;
    if params.send_initial_events.is_some() {
        return Err(ApiError::invalid(
            crate::controlplane::status::About { group: "meta.k8s.io", plural: "", kind: "ListOptions" },
            "",
            &[crate::controlplane::status::FieldError::forbidden(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for list",
            )],
        ));
    }
    let token = params.continue_token.as_deref().map(Token::decode).transpose()?;
    if resource.class == Class::Definition {
        let revision = inner.store.read().revision;
        let items = definitions(inner).into_iter().filter(|d| selector.matches(resource, d)).collect();
        return Ok(List { items, revision, continue_token: None, remaining: None });
    }
    let state = inner.store.read();
    let asked = parse_revision(params)?;
    if let Some(rv) = asked {
        if rv > state.revision {
            return Err(too_large(rv, state.revision));
        }
        if params.resource_version_match.as_deref() == Some("Exact") && rv != state.revision && rv != 0 {
            return Err(ApiError::expired("The provided resourceVersion is no longer kept; list without it"));
        }
    }
    let revision = match &token {
        Some(t) if t.revision < state.compacted => {
            return Err(ApiError::expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new \
                 list without the continue parameter.",
            ));
        }
        Some(t) => t.revision,
        None => state.revision,
    };
    let mut items: Vec<Arc<Stored>> = Vec::new();
    if let Some(objects) = state.objects.get(&resource.key) {
        let rows = objects.iter().filter(|((ns, _), o)| {
            (target.namespace.is_empty() || *ns == target.namespace) && selector.matches(resource, o)
        });
        let rows = rows.filter(|(key, _)| token.as_ref().is_none_or(|t| **key > t.after));
        items.extend(rows.map(|(_, o)| o.clone()));
    }
    drop(state);
    let (mut continue_token, mut remaining) = (None, None);
    if let Some(limit) = params.limit.filter(|limit| items.len() > *limit) {
        // The real server counts the rest only where no selector hides some of it.
        remaining = selector.is_empty().then(|| (items.len() - limit) as u64);
        items.truncate(limit);
        if let Some(last) = items.last() {
            let after = (last.namespace.clone(), last.name.clone());
            continue_token = Some(Token { revision, after }.encode());
        }
    }
    Ok(List { items, revision, continue_token, remaining })
}

pub fn parse_revision(params: &Params) -> ApiResult<Option<u64>> {
    let Some(rv) = &params.resource_version else { return Ok(None) };
    let bad = || {
        let e = crate::controlplane::status::FieldError::invalid(
            "resourceVersion",
            rv.as_str(),
            "strconv.ParseUint: parsing: invalid syntax",
        );
        let about = crate::controlplane::status::About { group: "meta.k8s.io", plural: "", kind: "ListOptions" };
        ApiError::invalid(about, "", &[e])
    };
    rv.parse().map(Some).map_err(|_| bad())
}

pub fn too_large(asked: u64, current: u64) -> ApiError {
    ApiError {
        code: 504,
        reason: "Timeout",
        message: format!("Timeout: Too large resource version: {asked}, current: {current}"),
        details: Some(json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1})),
    }
}
