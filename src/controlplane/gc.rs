//! The garbage collector: dependents whose owners are gone, foreground and orphan deletion, namespaces in deletion,
//! and Events after their hour.
//!
//! Level-based: each pass looks at the whole (in-memory) state, so it needs no memory of its own and works the same
//! after a restart.

use super::Inner;
use super::handlers::{DeleteOptions, Propagation, remove};
use super::object::{Stored, meta_mut};
use super::resource::{Class, Resource};
use super::status::ApiResult;
use super::store::{ChangeKind, ResourceKey};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// How long an Event is kept after it was last seen, as kube-apiserver's --event-ttl is set by default.
const EVENT_TTL: Duration = Duration::from_secs(3600);
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Runs until the control plane is dropped.
pub fn start(inner: &Arc<Inner>) -> tokio::task::JoinHandle<()> {
    let weak = Arc::downgrade(inner);
    let mut revision = inner.store.subscribe();
    tokio::spawn(async move {
        let mut seen = 0;
        let mut sweep_at = tokio::time::Instant::now() + Duration::from_secs(5);
        loop {
            let now = *revision.borrow_and_update();
            if !step(&weak, seen, now).await {
                return;
            }
            seen = now;
            tokio::select! {
                changed = revision.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(sweep_at) => {
                    sweep_at = tokio::time::Instant::now() + SWEEP_EVERY;
                    let Some(inner) = weak.upgrade() else { return };
                    // A failed sweep is tried again at the next one.
                    let _ = tokio::task::spawn_blocking(move || sweep_events(&inner, jiff::Timestamp::now())).await;
                }
            }
        }
    })
}

/// One look at what changed; false when the control plane is gone.
async fn step(weak: &Weak<Inner>, seen: u64, now: u64) -> bool {
    let Some(inner) = weak.upgrade() else { return false };
    if seen != 0 && !concerns(&inner, seen) {
        return true;
    }
    let done = tokio::task::spawn_blocking(move || {
        // An object that changed under the plan is looked at again at once: its change may not start a pass by itself.
        let mut again = true;
        while again {
            again = false;
            for action in plan(&inner) {
                match act(&inner, &action) {
                    Ok(done) => again |= !done,
                    Err(e) => {
                        tracing::warn!(
                            revision = now,
                            "garbage collector: {}: {}",
                            action.object.name,
                            e.message
                        );
                    }
                }
            }
        }
    });
    done.await.is_ok()
}

/// Deletes the Events that were last seen more than an hour ago.
fn sweep_events(inner: &Inner, now: jiff::Timestamp) {
    let Some(resource) = inner.registry.by_key("/events") else {
        return;
    };
    let old: Vec<Arc<Stored>> = {
        let state = inner.store.read();
        let events = state.objects.get(&resource.key).into_iter().flat_map(|m| m.values());
        events.filter(|e| event_expired(&e.value(), now)).cloned().collect()
    };
    if old.is_empty() {
        return;
    }
    let swept = inner.store.write(|txn| {
        for e in &old {
            if let Some(current) = txn.get(&resource.key, &e.namespace, &e.name)
                && current.resource_version == e.resource_version
            {
                txn.delete(&resource.key, current.value());
            }
        }
        Ok(())
    });
    if let Err(e) = swept {
        tracing::warn!("garbage collector: events: {}", e.message);
    }
}

/// Whether every time that an Event carries is more than the TTL ago.
fn event_expired(event: &Value, now: jiff::Timestamp) -> bool {
    let times = [
        "/metadata/creationTimestamp",
        "/lastTimestamp",
        "/series/lastObservedTime",
    ];
    let times = times
        .iter()
        .filter_map(|p| event.pointer(p)?.as_str()?.parse::<jiff::Timestamp>().ok());
    times
        .max()
        .is_some_and(|t| now.duration_since(t).as_secs() > EVENT_TTL.as_secs() as i64)
}

/// Whether the changes since `seen` can have made work: a deletion, a mark for deletion, or an owner reference.
fn concerns(inner: &Inner, seen: u64) -> bool {
    let state = inner.store.read();
    if seen < state.compacted {
        return true;
    }
    state.all_since(seen).any(|c| {
        let before = c.previous.as_ref().map_or(&[][..], |p| &p.owners);
        c.kind == ChangeKind::Deleted || c.object.deleting || c.object.owners != before
    })
}

enum What {
    Delete(Option<Propagation>),
    /// Takes a finalizer off; the object goes if it was the last.
    Release(&'static str),
    /// Takes the owner with this uid out of the references.
    Disown(String),
    FinishNamespace,
}

struct Action {
    resource: Arc<Resource>,
    object: Arc<Stored>,
    what: What,
}

/// Decides, from one view of the state.
fn plan(inner: &Inner) -> Vec<Action> {
    let state = inner.store.read();
    let mut by_uid: HashMap<&str, &Arc<Stored>> = HashMap::new();
    let mut dependents: HashMap<&str, Vec<(&ResourceKey, &Arc<Stored>)>> = HashMap::new();
    let mut filled: HashSet<&str> = HashSet::new();
    for (key, map) in &state.objects {
        for ((namespace, _), o) in map {
            by_uid.insert(&o.uid, o);
            filled.insert(namespace);
            for owner in &o.owners {
                dependents.entry(&owner.uid).or_default().push((key, o));
            }
        }
    }
    let mut out = Vec::new();
    for (key, map) in &state.objects {
        let Some(resource) = inner.registry.by_key(key) else {
            continue;
        };
        let mut push = |object: &Arc<Stored>, what| {
            out.push(Action {
                resource: resource.clone(),
                object: object.clone(),
                what,
            })
        };
        for o in map.values() {
            let own = dependents.get(o.uid.as_str()).map_or(&[][..], Vec::as_slice);
            let waits = |f: &str| o.deleting && o.finalizers.iter().any(|x| x == f);
            if waits(ORPHAN) && own.is_empty() {
                push(o, What::Release(ORPHAN));
            }
            if waits(FOREGROUND) && !own.iter().any(|(_, d)| blocks(d, &o.uid)) {
                push(o, What::Release(FOREGROUND));
            }
            if resource.class == Class::Namespace && o.deleting && !filled.contains(o.name.as_str()) {
                push(o, What::FinishNamespace);
            }
            let namespace = state.get("/namespaces", "", &o.namespace);
            if !o.deleting && namespace.is_some_and(|n| n.deleting) {
                push(o, What::Delete(Some(Propagation::Background)));
                continue;
            }
            if o.owners.is_empty() || o.deleting {
                continue;
            }
            // An owner of a kind that is not served here cannot be judged: it counts as there.
            let owner = |uid: &str| by_uid.get(uid).copied();
            let known = |r: &super::object::Owner| inner.registry.by_kind(&r.api_version, &r.kind).is_some();
            let orphaning: Vec<_> = o
                .owners
                .iter()
                .filter(|r| owner(&r.uid).is_some_and(|w| w.deleting && has(w, ORPHAN)))
                .collect();
            if !orphaning.is_empty() {
                orphaning.iter().for_each(|r| push(o, What::Disown(r.uid.clone())));
                continue;
            }
            let solid = o.owners.iter().any(|r| match owner(&r.uid) {
                Some(w) => !(w.deleting && has(w, FOREGROUND)),
                None => !known(r),
            });
            if solid {
                let gone = o.owners.iter().filter(|r| owner(&r.uid).is_none() && known(r));
                gone.for_each(|r| push(o, What::Disown(r.uid.clone())));
                continue;
            }
            let foreground = o.owners.iter().any(|r| owner(&r.uid).is_some());
            let deeper = dependents.contains_key(o.uid.as_str());
            let how = if foreground && deeper {
                Some(Propagation::Foreground)
            } else {
                None
            };
            push(o, What::Delete(how));
        }
    }
    out
}

fn has(o: &Stored, finalizer: &str) -> bool {
    o.finalizers.iter().any(|f| f == finalizer)
}

fn blocks(dependent: &Stored, uid: &str) -> bool {
    dependent.owners.iter().any(|r| r.uid == uid && r.blocks)
}

/// Does one action, if the object still is as the plan saw it; false if it is not.
fn act(inner: &Inner, action: &Action) -> ApiResult<bool> {
    let (resource, seen) = (&action.resource, &action.object);
    inner.store.write(|txn| {
        let Some(current) = txn.get(&resource.key, &seen.namespace, &seen.name) else {
            return Ok(true);
        };
        if current.resource_version != seen.resource_version {
            return Ok(false);
        }
        match &action.what {
            What::Delete(propagation) => {
                let options = DeleteOptions {
                    propagation: *propagation,
                    ..DeleteOptions::default()
                };
                remove(txn, resource, &current, &options);
            }
            What::Release(finalizer) => {
                let mut value = current.value();
                let left: Vec<&String> = current.finalizers.iter().filter(|f| f != finalizer).collect();
                if left.is_empty() {
                    meta_mut(&mut value).remove("finalizers");
                    txn.delete(&resource.key, value);
                } else {
                    meta_mut(&mut value).insert("finalizers".into(), serde_json::json!(left));
                    txn.put(&resource.key, value);
                }
            }
            What::Disown(uid) => {
                let mut value = current.value();
                let meta = meta_mut(&mut value);
                if let Some(Value::Array(owners)) = meta.get_mut("ownerReferences") {
                    owners.retain(|o| o["uid"] != uid.as_str());
                    if owners.is_empty() {
                        meta.remove("ownerReferences");
                    }
                }
                txn.put(&resource.key, value);
            }
            What::FinishNamespace => {
                if txn.namespace_is_empty(&current.name) {
                    let mut value = current.value();
                    value["spec"] = serde_json::json!({});
                    if current.finalizers.is_empty() {
                        txn.delete(&resource.key, value);
                    } else if current.value()["spec"] != value["spec"] {
                        txn.put(&resource.key, value);
                    }
                }
            }
        }
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_expire_an_hour_after_they_were_last_seen() {
        let now: jiff::Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let event = |made: &str, last: Value| json!({"metadata": {"creationTimestamp": made}, "lastTimestamp": last});
        assert!(event_expired(&event("2026-01-01T10:59:00Z", Value::Null), now));
        assert!(!event_expired(&event("2026-01-01T11:01:00Z", Value::Null), now));
        assert!(!event_expired(
            &event("2026-01-01T09:00:00Z", "2026-01-01T11:30:00Z".into()),
            now
        ));
    }
}
