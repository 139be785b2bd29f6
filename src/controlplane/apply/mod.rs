//! Field ownership: `metadata.managedFields` on every write, and server-side apply.
//!
//! The algorithm is that of structured-merge-diff: an update takes what it changes; an apply owns what it names, may
//! change only what no other applier or updater owns (or by force), and gives up what it names no longer.

mod fieldset;
mod merge;

use super::object::now;
use super::schema::Node;
use super::status::{ApiError, ApiResult};
use fieldset::{FieldSet, Step};
use serde_json::{Value, json};

/// Who writes, and through which door.
#[derive(Debug, Clone)]
pub struct Writer<'a> {
    pub manager: &'a str,
    pub api_version: String,
    /// "" or "status".
    pub subresource: &'static str,
    /// Members that this door cannot write (top level), so that nothing is owned of them.
    pub excluded: Option<&'static str>,
    /// The only top-level member that this door writes.
    pub only: Option<&'static str>,
}

/// One decoded entry of managedFields.
#[derive(Debug, Clone)]
struct Entry {
    manager: String,
    apply: bool,
    api_version: String,
    time: String,
    subresource: String,
    set: FieldSet,
}

impl Entry {
    fn decode(v: &Value) -> Option<Entry> {
        let text = |k: &str| v.get(k).and_then(Value::as_str).unwrap_or("").to_string();
        Some(Entry {
            manager: text("manager"),
            apply: match v.get("operation")?.as_str()? {
                "Apply" => true,
                "Update" => false,
                _ => return None,
            },
            api_version: text("apiVersion"),
            time: text("time"),
            subresource: text("subresource"),
            set: fieldset::decode(v.get("fieldsV1")?)?,
        })
    }

    fn encode(&self) -> Value {
        let mut v = json!({"manager": self.manager, "operation": if self.apply { "Apply" } else { "Update" },
            "apiVersion": self.api_version, "fieldsType": "FieldsV1", "fieldsV1": fieldset::encode(&self.set)});
        if !self.time.is_empty() {
            v["time"] = self.time.as_str().into();
        }
        if !self.subresource.is_empty() {
            v["subresource"] = self.subresource.as_str().into();
        }
        v
    }

    fn is(&self, w: &Writer, apply: bool) -> bool {
        self.manager == w.manager
            && self.apply == apply
            && self.subresource == w.subresource
            && (apply || self.api_version == w.api_version)
    }

    /// As conflicts name it.
    fn display(&self) -> String {
        let mut s = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            s = format!("{s} with subresource {:?}", self.subresource);
        }
        match (self.apply, self.time.is_empty()) {
            (true, _) => s,
            (false, true) => format!("{s} using {}", self.api_version),
            (false, false) => format!("{s} using {} at {}", self.api_version, self.time),
        }
    }
}

fn entries(object: Option<&Value>) -> Vec<Entry> {
    let list = object.and_then(|o| o.pointer("/metadata/managedFields")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Entry::decode).collect()
}

/// Appliers first, then by time, then by name.
fn store(object: &mut Value, mut list: Vec<Entry>) {
    list.retain(|e| !e.set.is_empty());
    list.sort_by(|a, b| (!a.apply, &a.time, &a.manager).cmp(&(!b.apply, &b.time, &b.manager)));
    let meta = super::object::meta_mut(object);
    if list.is_empty() {
        meta.remove("managedFields");
    } else {
        meta.insert("managedFields".into(), list.iter().map(Entry::encode).collect());
    }
}

/// Metadata that the server sets; nobody owns it.
const SERVER_FIELDS: &[&str] =
    &["name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion"];

fn owned(w: &Writer, mut set: FieldSet) -> FieldSet {
    let field = |s: Option<&Step>, name: &str| matches!(s, Some(Step::Field(f)) if f == name);
    set.retain(|p| {
        let top = p.first();
        let server = (p.len() == 1 && ["apiVersion", "kind", "metadata"].iter().any(|n| field(top, n)))
            || (p.len() == 2 && field(top, "metadata") && SERVER_FIELDS.iter().any(|n| field(p.get(1), n)));
        !server && w.excluded.is_none_or(|n| !field(top, n)) && w.only.is_none_or(|n| field(top, n))
    });
    set
}

/// Records an update: what changed from `old` to `new` belongs to the writer now. `base` is the object whose
/// managedFields lead (the request's if it carries any, else the old object's).
pub fn track_update(node: &Node, w: &Writer, old: Option<&Value>, new: &mut Value, base: Option<&Value>) {
    let empty = json!({});
    let diff = fieldset::compare(node, &strip(old.unwrap_or(&empty)), &strip(new));
    let mut changed: FieldSet = diff.added;
    changed.extend(diff.modified);
    let changed = owned(w, changed);
    let removed = owned(w, diff.removed);
    let mut list = entries(base);
    for e in &mut list {
        if !e.is(w, false) {
            e.set.retain(|p| !changed.contains(p) && !removed.contains(p));
        }
    }
    let at = list.iter().position(|e| e.is(w, false));
    match at {
        Some(at) => {
            let before = list[at].set.clone();
            list[at].set.extend(changed);
            list[at].set.retain(|p| !removed.contains(p));
            if list[at].set != before {
                list[at].time = now();
            }
        }
        None if !changed.is_empty() => list.push(Entry {
            manager: w.manager.to_string(),
            apply: false,
            api_version: w.api_version.clone(),
            time: now(),
            subresource: w.subresource.to_string(),
            set: changed,
        }),
        None => {}
    }
    store(new, list);
}

/// Without managedFields, which are not part of what is compared.
fn strip(v: &Value) -> Value {
    let mut v = v.clone();
    if let Some(m) = v.get_mut("metadata").and_then(Value::as_object_mut) {
        m.remove("managedFields");
    }
    v
}

/// Applies a configuration. Gives the new object with its managedFields; the caller fills in server metadata,
/// defaults and validation.
pub fn apply(node: &Node, w: &Writer, live: Option<&Value>, config: &Value, force: bool) -> ApiResult<Value> {
    let mut config = config.clone();
    if let Some(m) = config.get_mut("metadata").and_then(Value::as_object_mut) {
        m.remove("resourceVersion");
        m.remove("uid");
    }
    let base = match live {
        Some(live) => strip(live),
        None => json!({"apiVersion": config["apiVersion"], "kind": config["kind"]}),
    };
    let mut list = entries(live);
    let mut merged = merge::merge(node, &base, &config);
    let set = owned(w, fieldset::of(node, &config));
    let mine = list.iter().position(|e| e.is(w, true));
    let last = mine.map(|at| list[at].set.clone()).unwrap_or_default();
    // Prune what was applied last time, is not now, and is nobody else's.
    let gone: FieldSet = last.difference(&set).cloned().collect();
    if !gone.is_empty() {
        let mut keep = set.clone();
        let others = list.iter().enumerate().filter(|(i, _)| Some(*i) != mine);
        others.for_each(|(_, e)| keep.extend(e.set.iter().cloned()));
        merge::remove(node, &mut merged, &gone, &keep);
    }
    let diff = fieldset::compare(node, &base, &merged);
    let mut changed = diff.added;
    changed.extend(diff.modified);
    let changed = owned(w, changed);
    let mut conflicts: Vec<(String, String)> = Vec::new();
    for (i, e) in list.iter_mut().enumerate() {
        if Some(i) == mine {
            continue;
        }
        if live.is_some() {
            let hit: Vec<_> = e.set.intersection(&changed).cloned().collect();
            conflicts.extend(hit.iter().map(|p| (e.display(), fieldset::display(p))));
            e.set.retain(|p| !hit.contains(p));
        }
        e.set.retain(|p| !diff.removed.contains(p));
    }
    if !conflicts.is_empty() && !force {
        return Err(conflict_error(conflicts));
    }
    match mine {
        Some(at) => {
            if list[at].set != set || list[at].api_version != w.api_version {
                list[at].time = now();
            }
            list[at].set = set;
            list[at].api_version = w.api_version.clone();
        }
        None => list.push(Entry {
            manager: w.manager.to_string(),
            apply: true,
            api_version: w.api_version.clone(),
            time: now(),
            subresource: w.subresource.to_string(),
            set,
        }),
    }
    store(&mut merged, list);
    Ok(merged)
}

fn conflict_error(mut conflicts: Vec<(String, String)>) -> ApiError {
    conflicts.sort();
    let message = match &conflicts[..] {
        [(who, path)] => format!("Apply failed with 1 conflict: conflict with {who}: {path}"),
        all => {
            let mut lines: Vec<String> = Vec::new();
            let mut last = None;
            for (who, path) in all {
                if last != Some(who) {
                    lines.push(format!("conflicts with {who}:"));
                    last = Some(who);
                }
                lines.push(format!("- {path}"));
            }
            format!("Apply failed with {} conflicts: {}", all.len(), lines.join("\n"))
        }
    };
    let causes = conflicts.iter().map(|(who, path)| {
        json!({"reason": "FieldManagerConflict", "message": format!("conflict with {who}"), "field": path})
    });
    ApiError::apply_conflict(message, causes.collect())
}

/// The paths of a configuration that the schema does not know, as a typed decode reports them.
pub fn undeclared(node: &Node, config: &Value) -> Vec<String> {
    let mut copy = config.clone();
    super::schema::prune::prune(node, &mut copy)
}
