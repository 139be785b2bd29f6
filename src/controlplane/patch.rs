//! The patch formats: JSON patch (RFC 6902), merge patch (RFC 7386), strategic merge for the built-in kinds, apply.

use super::resource::{Class, Resource};
use super::schema::{ListType, Node, item_key};
use super::status::{ApiError, ApiResult};
use serde_json::Value;

/// A decoded patch.
pub enum Patch {
    Json(json_patch::Patch),
    Merge(Value),
    Strategic(Value),
    Apply(Value),
}

const CUSTOM: &str = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
const BUILTIN: &str = "application/json-patch+json, application/merge-patch+json, \
                       application/strategic-merge-patch+json, application/apply-patch+yaml";

impl Patch {
    pub fn decode(content_type: &str, body: &[u8]) -> ApiResult<Patch> {
        let json = || -> ApiResult<Value> {
            serde_json::from_slice(body).map_err(|e| ApiError::bad_request(format!("error decoding patch: {e}")))
        };
        let media = content_type.split(';').next().unwrap_or("").trim();
        Ok(match media {
            "application/json-patch+json" => Patch::Json(
                serde_json::from_slice(body)
                    .map_err(|e| ApiError::bad_request(format!("error decoding patch: {e}")))?,
            ),
            "application/merge-patch+json" => Patch::Merge(object(json()?)?),
            "application/strategic-merge-patch+json" => Patch::Strategic(object(json()?)?),
            "application/apply-patch+yaml" | "application/apply-patch" => {
                Patch::Apply(object(super::handlers::decode_yaml(body)?)?)
            }
            _ => return Err(ApiError::unsupported_media_type(BUILTIN)),
        })
    }

    /// The patched object (not for `Apply`, which needs the field managers).
    pub fn apply_to(&self, resource: &Resource, live: &Value) -> ApiResult<Value> {
        let mut out = live.clone();
        match self {
            Patch::Json(p) => {
                json_patch::patch(&mut out, p).map_err(|e| json_patch_error(resource, live, &e))?;
            }
            Patch::Merge(p) => json_patch::merge(&mut out, p),
            Patch::Strategic(_) if resource.class == Class::Custom => {
                return Err(ApiError::unsupported_media_type(CUSTOM));
            }
            Patch::Strategic(p) => strategic(&resource.schema, &mut out, p)?,
            Patch::Apply(_) => return Err(ApiError::internal("an apply patch has no plain form")),
        }
        Ok(out)
    }
}

fn object(v: Value) -> ApiResult<Value> {
    if v.is_object() { Ok(v) } else { Err(ApiError::bad_request("error decoding patch: a patch must be an object")) }
}

fn json_patch_error(resource: &Resource, live: &Value, e: &json_patch::PatchError) -> ApiError {
    let name = super::object::name(live);
    let mut error = ApiError::invalid(resource.about(), name, &[]);
    error.message = format!("the server rejected our request due to an error in our request: {e}");
    error
}

/// Strategic merge: as a merge patch, but lists with merge keys merge by item; `$patch: delete|replace` and
/// `$deleteFromPrimitiveList` are understood, `$setElementOrder` does not matter to these kinds, other directives are refused.
fn strategic(node: &Node, target: &mut Value, patch: &Value) -> ApiResult<()> {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    match members.get("$patch").and_then(Value::as_str) {
        None | Some("merge") => {}
        Some("replace") => {
            let mut whole = members.clone();
            whole.remove("$patch");
            *target = Value::Object(whole);
            return Ok(());
        }
        Some("delete") => {
            *target = Value::Object(Default::default());
            return Ok(());
        }
        Some(other) => return Err(ApiError::bad_request(format!("unknown patch type: {other}"))),
    }
    if !target.is_object() {
        *target = Value::Object(Default::default());
    }
    for (k, v) in members {
        if let Some(list) = k.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(items), Some(gone)) = (target.get_mut(list).and_then(Value::as_array_mut), v.as_array()) {
                items.retain(|i| !gone.contains(i));
            }
            continue;
        }
        if k == "$patch" || k.starts_with("$setElementOrder/") {
            continue;
        }
        if k.starts_with('$') {
            return Err(ApiError::bad_request(format!("the strategic merge directive {k:?} is not supported")));
        }
        let child = super_child(node, k);
        match v {
            Value::Null => {
                if let Some(m) = target.as_object_mut() {
                    m.remove(k);
                }
            }
            Value::Array(items) if *child.list_type() != ListType::Atomic => {
                if !target[k.as_str()].is_array() {
                    target[k.as_str()] = Value::Array(vec![]);
                }
                if let Some(list) = target[k.as_str()].as_array_mut() {
                    strategic_list(child, list, items)?;
                }
            }
            Value::Object(_) => strategic(child, &mut target[k.as_str()], v)?,
            other => target[k.as_str()] = other.clone(),
        }
    }
    Ok(())
}

fn super_child<'a>(node: &'a Node, name: &str) -> &'a Node {
    static ANY: std::sync::LazyLock<Node> = std::sync::LazyLock::new(Node::default);
    node.child(name).unwrap_or(&ANY)
}

fn strategic_list(node: &Node, list: &mut Vec<Value>, items: &[Value]) -> ApiResult<()> {
    static ANY: std::sync::LazyLock<Node> = std::sync::LazyLock::new(Node::default);
    let item_node = node.items.as_deref().unwrap_or(&ANY);
    for item in items {
        match node.list_type() {
            ListType::Map(keys) => {
                let key = |v: &Value| item_key(keys, Some(item_node), v);
                let wanted = key(item);
                let at = list.iter().position(|l| key(l) == wanted);
                match (item.get("$patch").and_then(Value::as_str), at) {
                    (Some("delete"), Some(at)) => {
                        list.remove(at);
                    }
                    (Some("delete"), None) => {}
                    (_, Some(at)) => strategic(item_node, &mut list[at], item)?,
                    (_, None) => list.push(item.clone()),
                }
            }
            _ if !list.contains(item) => list.push(item.clone()),
            _ => {}
        }
    }
    Ok(())
}
