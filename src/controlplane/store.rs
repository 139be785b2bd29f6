//! The state: one redb file, a copy of it in memory, and the recent history that watches read.
//!
//! Every change is one transaction that is on disk before it is visible. The file holds the objects and the
//! global resourceVersion; the history lives in memory only, so a watch from before the last start is answered
//! with 410 Gone, as after a compaction of etcd.

use super::object::Stored;
use super::status::ApiError;
use super::Error;
use redb::{Database, Durability, ReadableTable, TableDefinition};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

const OBJECTS: TableDefinition<&str, &[u8]> = TableDefinition::new("objects");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const REVISION: &str = "resourceVersion";
const FORMAT: &str = "format";
const FORMAT_VERSION: u64 = 1;

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
        self.objects.get(resource)?.get(&(namespace.to_string(), name.to_string()))
    }

    /// The changes of one resource after `revision`, oldest first; `None` if they are not all kept any more.
    pub fn since(&self, resource: &str, revision: u64) -> Option<Vec<Arc<Change>>> {
        if revision < self.compacted {
            return None;
        }
        let start = self.history.partition_point(|c| c.revision <= revision);
        Some(self.history.range(start..).filter(|c| &*c.resource == resource).cloned().collect())
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
    db: Database,
    writer: Mutex<()>,
    state: RwLock<State>,
    revision: tokio::sync::watch::Sender<u64>,
}

fn object_key(resource: &str, namespace: &str, name: &str) -> String {
    format!("{resource}\0{namespace}\0{name}")
}

impl Store {
    /// Opens or makes the state file and reads it into memory.
    pub fn open(path: &Path) -> Result<Store, Error> {
        let storage = |what: &'static str| {
            let path = path.to_path_buf();
            move |e: redb::Error| Error::Storage { path, what, source: Box::new(e) }
        };
        if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
            std::fs::create_dir_all(dir)
                .map_err(|source| Error::Io { path: dir.to_path_buf(), what: "create the folder", source })?;
        }
        let db = redb::Builder::new().set_cache_size(4 << 20).create(path).map_err(|e| match e {
            redb::DatabaseError::DatabaseAlreadyOpen | redb::DatabaseError::LockProtocolMismatch => {
                Error::Locked { path: path.to_path_buf() }
            }
            redb::DatabaseError::UpgradeRequired(v) => {
                Error::Corrupt { path: path.to_path_buf(), why: format!("redb file format {v} is too old") }
            }
            redb::DatabaseError::Storage(redb::StorageError::Corrupted(why)) => {
                Error::Corrupt { path: path.to_path_buf(), why }
            }
            redb::DatabaseError::Storage(redb::StorageError::Io(source)) => match source.kind() {
                std::io::ErrorKind::InvalidData => {
                    Error::Corrupt { path: path.to_path_buf(), why: source.to_string() }
                }
                _ => Error::Io { path: path.to_path_buf(), what: "open", source },
            },
            other => Error::Storage { path: path.to_path_buf(), what: "open", source: Box::new(other.into()) },
        })?;
        let mut state = State::default();
        let begin = db.begin_write().map_err(|e| storage("start a transaction")(e.into()))?;
        {
            let objects = begin.open_table(OBJECTS).map_err(|e| storage("open the table of objects")(e.into()))?;
            let mut meta = begin.open_table(META).map_err(|e| storage("open the table of facts")(e.into()))?;
            let format = meta.get(FORMAT).map_err(|e| storage("read")(e.into()))?.map(|v| v.value());
            match format {
                None => {
                    meta.insert(FORMAT, FORMAT_VERSION).map_err(|e| storage("write")(e.into()))?;
                }
                Some(FORMAT_VERSION) => {}
                Some(other) => {
                    let why = format!("state format {other}; this mosdat reads format {FORMAT_VERSION}");
                    return Err(Error::Corrupt { path: path.to_path_buf(), why });
                }
            }
            state.revision = meta.get(REVISION).map_err(|e| storage("read")(e.into()))?.map_or(1, |v| v.value());
            for row in objects.iter().map_err(|e| storage("read")(e.into()))? {
                let (key, value) = row.map_err(|e| storage("read")(e.into()))?;
                let broken = |why: String| Error::Corrupt { path: path.to_path_buf(), why };
                let mut parts = key.value().splitn(3, '\0');
                let (Some(resource), Some(ns), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
                    return Err(broken(format!("the key {:?} has not three parts", key.value())));
                };
                let object = Stored::parse(value.value())
                    .map_err(|e| broken(format!("{resource} {ns}/{name} is not JSON: {e}")))?;
                let map = state.objects.entry(resource.into()).or_default();
                map.insert((ns.into(), name.into()), Arc::new(object));
            }
        }
        begin.commit().map_err(|e| storage("commit")(e.into()))?;
        state.compacted = state.revision;
        let (revision, _) = tokio::sync::watch::channel(state.revision);
        Ok(Store { db, writer: Mutex::new(()), state: RwLock::new(state), revision })
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
        let mut txn = Txn { store: self, _writer: guard, revision, changes: Vec::new() };
        let result = f(&mut txn)?;
        let (changes, revision) = (std::mem::take(&mut txn.changes), txn.revision);
        if changes.is_empty() {
            return Ok(result);
        }
        self.persist(&changes, revision).map_err(ApiError::internal)?;
        {
            let mut state = self.state_mut();
            for change in changes {
                state.apply(Arc::new(change));
            }
        }
        self.revision.send_replace(revision);
        Ok(result)
    }

    fn persist(&self, changes: &[Change], revision: u64) -> Result<(), redb::Error> {
        let mut txn = self.db.begin_write()?;
        txn.set_durability(Durability::Immediate)?;
        {
            let mut objects = txn.open_table(OBJECTS)?;
            let mut meta = txn.open_table(META)?;
            for c in changes {
                let key = object_key(&c.resource, &c.object.namespace, &c.object.name);
                match c.kind {
                    ChangeKind::Deleted => objects.remove(key.as_str())?,
                    _ => objects.insert(key.as_str(), &c.object.json[..])?,
                };
            }
            meta.insert(REVISION, revision)?;
        }
        txn.commit()?;
        Ok(())
    }
}

/// A running read-modify-write.
pub struct Txn<'a> {
    store: &'a Store,
    _writer: MutexGuard<'a, ()>,
    revision: u64,
    changes: Vec<Change>,
}

impl Txn<'_> {
    /// The object as this transaction sees it, its own changes included.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        let own = self.changes.iter().rev();
        let mut own = own
            .filter(|c| &*c.resource == resource && c.object.namespace == namespace && c.object.name == name);
        match own.next() {
            Some(c) if c.kind == ChangeKind::Deleted => None,
            Some(c) => Some(c.object.clone()),
            None => self.store.read().get(resource, namespace, name).cloned(),
        }
    }

    /// Whether anything but the given resources lives in the namespace.
    pub fn namespace_is_empty(&self, namespace: &str) -> bool {
        let state = self.store.read();
        state.objects.values().all(|m| m.range((namespace.to_string(), String::new())..).next().is_none_or(|(k, _)| k.0 != namespace))
    }

    /// Creates or replaces; sets `metadata.resourceVersion`.
    pub fn put(&mut self, resource: &ResourceKey, mut value: Value) -> Arc<Stored> {
        self.revision += 1;
        value["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let object = Arc::new(Stored::new(&value));
        let previous = self.get(resource, &object.namespace, &object.name);
        let kind = if previous.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
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
