//! watch: a stream of changes read from the store's history.

use super::list::{definitions, parse_revision, too_large};
use super::{Params, Reply, Target};
use crate::controlplane::Inner;
use crate::controlplane::object::Stored;
use crate::controlplane::resource::{Class, Resource};
use crate::controlplane::selectors::Selector;
use crate::controlplane::status::{About, ApiError, ApiResult, FieldError};
use crate::controlplane::store::{Change, ChangeKind};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often a quiet watch is told the current resourceVersion.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// One event, not yet in wire form.
pub enum Event {
    Object(&'static str, Arc<Stored>),
    /// A bookmark with its resourceVersion; `true` for the one that ends the initial events.
    Bookmark(u64, bool),
    Error(ApiError),
}

/// The running watch; `next` gives the events.
pub struct WatchStream {
    inner: Arc<Inner>,
    pub resource: Arc<Resource>,
    namespace: String,
    name: Option<String>,
    selector: Selector,
    bookmarks: bool,
    cursor: u64,
    pending: VecDeque<Event>,
    changed: tokio::sync::watch::Receiver<u64>,
    deadline: Instant,
    bookmark_at: Instant,
    ended: bool,
}

pub fn start(inner: &Arc<Inner>, target: &Target, params: &Params) -> ApiResult<Reply> {
    let resource = target.resource.clone();
    let selector =
        Selector::parse(&resource, params.label_selector.as_deref(), params.field_selector.as_deref())?;
    let about = About { group: "meta.k8s.io", plural: "", kind: "ListOptions" };
    let rule = params.resource_version_match.as_deref();
    if params.send_initial_events.is_some() && rule != Some("NotOlderThan") {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        return Err(ApiError::invalid(about, "", &[FieldError::forbidden("resourceVersionMatch", why)]));
    }
    if params.send_initial_events.is_none() && rule.is_some() {
        let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        return Err(ApiError::invalid(about, "", &[FieldError::forbidden("resourceVersionMatch", why)]));
    }
    let changed = inner.store.subscribe();
    let asked = parse_revision(params)?;
    let initial = match params.send_initial_events {
        Some(wanted) => wanted,
        None => matches!(asked, None | Some(0)),
    };
    // Seconds, as kube-apiserver picks between 30 and 60 minutes when the client does not say.
    let timeout = params.timeout_seconds.filter(|s| *s > 0).unwrap_or(1800 + u64::from(rand::random::<u16>()) % 1800);
    let mut stream = WatchStream {
        inner: inner.clone(),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        selector,
        bookmarks: params.bookmarks,
        cursor: 0,
        pending: VecDeque::new(),
        changed,
        deadline: Instant::now() + Duration::from_secs(timeout),
        bookmark_at: Instant::now() + BOOKMARK_EVERY,
        ended: false,
        resource,
    };
    let state = inner.store.read();
    if let Some(rv) = asked.filter(|rv| *rv > state.revision) {
        return Err(too_large(rv, state.revision));
    }
    if initial {
        let listed: Vec<Arc<Stored>> = if stream.resource.class == Class::Definition {
            definitions(inner)
        } else {
            state.objects.get(&stream.resource.key).into_iter().flat_map(|m| m.values().cloned()).collect()
        };
        let wanted = listed.into_iter().filter(|o| stream.wants(o));
        let events: Vec<Event> = wanted.map(|o| Event::Object("ADDED", o)).collect();
        stream.pending.extend(events);
        stream.cursor = state.revision;
        if params.send_initial_events == Some(true) && params.bookmarks {
            stream.pending.push_back(Event::Bookmark(state.revision, true));
        }
    } else {
        stream.cursor = match asked {
            None | Some(0) => state.revision,
            Some(rv) => rv,
        };
        if stream.cursor < state.compacted {
            let why = format!("too old resource version: {} ({})", stream.cursor, state.compacted);
            stream.pending.push_back(Event::Error(ApiError::expired(why)));
            stream.ended = true;
        }
    }
    drop(state);
    Ok(Reply::Watch(stream))
}

impl WatchStream {
    fn wants(&self, o: &Stored) -> bool {
        (self.namespace.is_empty() || o.namespace == self.namespace)
            && self.name.as_ref().is_none_or(|n| o.name == *n)
            && self.selector.matches(&self.resource, o)
    }

    /// What a change is to this watch: an object that starts or stops matching is added or deleted.
    fn event(&self, change: &Change) -> Option<Event> {
        let now = change.kind != ChangeKind::Deleted && self.wants(&change.object);
        let before = change.previous.as_ref().is_some_and(|o| self.wants(o));
        let word = match (before, now) {
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
            (false, false) => return None,
        };
        Some(Event::Object(word, change.object.clone()))
    }

    /// The next event; `None` ends the stream.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            let revision = *self.changed.borrow_and_update();
            if revision > self.cursor {
                let changes = self.inner.store.read().since(&self.resource.key, self.cursor);
                match changes {
                    Some(changes) => {
                        let events: Vec<Event> = changes.iter().filter_map(|c| self.event(c)).collect();
                        self.pending.extend(events);
                        self.cursor = changes.last().map_or(revision, |c| c.revision.max(revision));
                    }
                    None => {
                        let why = format!("too old resource version: {} ({revision})", self.cursor);
                        self.pending.push_back(Event::Error(ApiError::expired(why)));
                        self.ended = true;
                    }
                }
                continue;
            }
            tokio::select! {
                r = self.changed.changed() => if r.is_err() { return None },
                () = tokio::time::sleep_until(self.deadline) => return None,
                () = tokio::time::sleep_until(self.bookmark_at), if self.bookmarks => {
                    self.bookmark_at = Instant::now() + BOOKMARK_EVERY;
                    self.pending.push_back(Event::Bookmark(self.cursor.max(revision), false));
                }
            }
        }
    }
}
