//! The state: one redb file, a copy of it in memory, and the recent history that watches read.
//!
//! Every change is one transaction that is on disk before it is visible. The file holds the objects and the
//! global resourceVersion; the history lives in memory only, so a watch from before the last start is answered
//! with 410 Gone, as after a compaction of etcd.

use super::Error;
use super::disk::Disk;
use super::object::Stored;
use super::status::ApiError;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How much history is kept for watches.
const HISTORY_EVENTS: usize = 2000;
const HISTORY_BYTES: usize = 8 << 20;

/// A resource's key: `group/plural`.
pub type ResourceKey = Arc<str>;
/// An object's key within its resource: namespace ("" for cluster-scoped ones) and name.
pub type ObjectKey = (String, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

/// One change of one object.
#[derive(Debug, Clone)]
pub struct Change {
    pub revision: u64,
    pub resource: ResourceKey,
    pub kind: ChangeKind,
    /// The object after the change; for a deletion, its last state with the deletion's resourceVersion.
    pub object: Arc<Stored>,
    pub previous: Option<Arc<Stored>>,
}

#[derive(Default)]
pub struct State {
    pub revision: u64,
    /// Changes with a revision greater than this are in `history`.
    pub compacted: u64,
    pub objects: BTreeMap<ResourceKey, BTreeMap<ObjectKey, Arc<Stored>>>,
    history: VecDeque<Arc<Change>>,
    history_bytes: usize,
}

impl State {
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<&Arc<Stored>> {
        // The key type owns its strings; a lookup allocates two short ones, which is nothing next to the answer.
        self.objects
            .get(resource)?
            .get(&(namespace.to_string(), name.to_string()))
    }

    /// The changes of one resource after `revision`, oldest first; `None` if they are not all kept any more.
    pub fn since(&self, resource: &str, revision: u64) -> Option<Vec<Arc<Change>>> {
        if revision < self.compacted {
            return None;
        }
        let start = self.history.partition_point(|c| c.revision <= revision);
        Some(
            self.history
                .range(start..)
                .filter(|c| &*c.resource == resource)
                .cloned()
                .collect(),
        )
    }

    /// All changes after `revision` (or all that are kept), oldest first.
    pub fn all_since(&self, revision: u64) -> impl Iterator<Item = &Arc<Change>> {
        let start = self.history.partition_point(|c| c.revision <= revision);
        self.history.range(start..)
    }

    fn apply(&mut self, change: Arc<Change>) {
        let map = self.objects.entry(change.resource.clone()).or_default();
        let key = (change.object.namespace.clone(), change.object.name.clone());
        match change.kind {
            ChangeKind::Deleted => map.remove(&key),
            _ => map.insert(key, change.object.clone()),
        };
        self.revision = change.revision;
        self.history_bytes += change.object.json.len();
        self.history.push_back(change);
        while self.history.len() > HISTORY_EVENTS || self.history_bytes > HISTORY_BYTES {
            let Some(old) = self.history.pop_front() else { break };
            self.history_bytes -= old.object.json.len();
            self.compacted = old.revision;
        }
    }
}

/// The store; shared by all requests.
pub struct Store {
    /// Held by the writer whose turn it is.
    writer: Mutex<Disk>,
    state: RwLock<State>,
    revision: tokio::sync::watch::Sender<u64>,
}

impl Store {
    /// Opens or makes the state file and reads it into memory.
    pub fn open(path: &Path) -> Result<Store, Error> {
        let (disk, revision, objects) = Disk::open(path)?;
        let mut state = State {
            revision,
            objects,
            ..State::default()
        };
        state.compacted = state.revision;
        let (revision, _) = tokio::sync::watch::channel(state.revision);
        Ok(Store {
            writer: Mutex::new(disk),
            state: RwLock::new(state),
            revision,
        })
    }

    /// A view for reading. Held only for the time of a lookup or a list; never over an await or a disk write.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of every new revision.
    pub fn subscribe(&self) -> tokio::sync::watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Runs one read-modify-write. Writers exclude each other; readers go on while the disk works. Blocking: call it
    /// from `spawn_blocking`. Nothing is written if `f` fails or changes nothing.
    pub fn write<R>(&self, f: impl FnOnce(&mut Txn<'_>) -> Result<R, ApiError>) -> Result<R, ApiError> {
        let guard = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = self.read().revision;
        let mut txn = Txn {
            store: self,
            disk: guard,
            revision,
            changes: Vec::new(),
        };
        let result = f(&mut txn)?;
        let (changes, revision) = (std::mem::take(&mut txn.changes), txn.revision);
        if changes.is_empty() {
            return Ok(result);
        }
        // Readers go on: nobody else changes the state while this one has its turn.
        txn.disk.persist(&changes, revision, &self.read())?;
        {
            let mut state = self.state_mut();
            for change in changes {
                state.apply(Arc::new(change));
            }
        }
        self.revision.send_replace(revision);
        Ok(result)
    }
}

/// A running read-modify-write.
pub struct Txn<'a> {
    store: &'a Store,
    disk: MutexGuard<'a, Disk>,
    revision: u64,
    changes: Vec<Change>,
}

impl Txn<'_> {
    /// The object as this transaction sees it, its own changes included.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        let own = self.changes.iter().rev();
        let mut own =
            own.filter(|c| &*c.resource == resource && c.object.namespace == namespace && c.object.name == name);
        match own.next() {
            Some(c) if c.kind == ChangeKind::Deleted => None,
            Some(c) => Some(c.object.clone()),
            None => self.store.read().get(resource, namespace, name).cloned(),
        }
    }

    /// Whether anything but the given resources lives in the namespace.
    pub fn namespace_is_empty(&self, namespace: &str) -> bool {
        let state = self.store.read();
        state.objects.values().all(|m| {
            m.range((namespace.to_string(), String::new())..)
                .next()
                .is_none_or(|(k, _)| k.0 != namespace)
        })
    }

    /// Creates or replaces; sets `metadata.resourceVersion`.
    pub fn put(&mut self, resource: &ResourceKey, mut value: Value) -> Arc<Stored> {
        self.revision += 1;
        value["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let object = Arc::new(Stored::new(&value));
        let previous = self.get(resource, &object.namespace, &object.name);
        let kind = if previous.is_some() {
            ChangeKind::Modified
        } else {
            ChangeKind::Added
        };
        self.push(resource, kind, object, previous)
    }

    /// Removes; the last state carries the deletion's resourceVersion, as watches show it.
    pub fn delete(&mut self, resource: &ResourceKey, mut value: Value) -> Arc<Stored> {
        self.revision += 1;
        value["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let object = Arc::new(Stored::new(&value));
        let previous = self.get(resource, &object.namespace, &object.name);
        self.push(resource, ChangeKind::Deleted, object, previous)
    }

    fn push(
        &mut self,
        resource: &ResourceKey,
        kind: ChangeKind,
        object: Arc<Stored>,
        previous: Option<Arc<Stored>>,
    ) -> Arc<Stored> {
        self.changes.push(Change {
            revision: self.revision,
            resource: resource.clone(),
            kind,
            object: object.clone(),
            previous,
        });
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn change(revision: u64, resource: &str) -> Arc<Change> {
        let value = json!({"metadata": {"name": format!("o{revision}"), "resourceVersion": revision.to_string()}});
        let object = Arc::new(Stored::new(&value));
        Arc::new(Change {
            revision,
            resource: resource.into(),
            kind: ChangeKind::Added,
            object,
            previous: None,
        })
    }

    #[test]
    fn history_is_bounded_and_says_when_it_does_not_reach_back() {
        let mut state = State {
            revision: 10,
            compacted: 10,
            ..State::default()
        };
        assert!(state.since("g/a", 9).is_none(), "from before this life of the process");
        assert_eq!(state.since("g/a", 10).map(|c| c.len()), Some(0));
        let most = HISTORY_EVENTS as u64;
        for i in 1..=most {
            state.apply(change(10 + i, if i % 2 == 0 { "g/a" } else { "g/b" }));
        }
        assert_eq!(
            state.since("g/a", 10).map(|c| c.len()),
            Some(HISTORY_EVENTS / 2),
            "only the resource's own"
        );
        state.apply(change(11 + most, "g/a"));
        assert!(state.since("g/a", 10).is_none(), "one more than is kept");
        assert_eq!(state.since("g/b", 11).map(|c| c.len()), Some(HISTORY_EVENTS / 2 - 1));
        assert_eq!(state.revision, 11 + most);
    }
}
