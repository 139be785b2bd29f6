//! The state file: redb, with the objects and the global resourceVersion.
//!
//! redb refuses everything after a failed write until the file is opened anew, so the file is closed on any failure
//! and opened again by the next write. What is in memory is right then: if the failed write reached the file after all,
//! the file is written anew from memory.

use super::Error;
use super::object::Stored;
use super::status::ApiError;
use super::store::{Change, ChangeKind, ObjectKey, ResourceKey, State};
use redb::{Database, Durability, ReadableTable, Table, TableDefinition};
use std::collections::BTreeMap;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const OBJECTS: TableDefinition<&str, &[u8]> = TableDefinition::new("objects");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const REVISION: &str = "resourceVersion";
const FORMAT: &str = "format";
const FORMAT_VERSION: u64 = 1;

/// All objects, by resource and key.
pub type Objects = BTreeMap<ResourceKey, BTreeMap<ObjectKey, Arc<Stored>>>;

/// The open state file.
pub struct Disk {
    path: PathBuf,
    /// `None` after a failed write, until the next one.
    db: Option<Database>,
}

impl Disk {
    /// Opens or makes the state file and reads it: the global resourceVersion and the objects.
    pub fn open(path: &Path) -> Result<(Disk, u64, Objects), Error> {
        let storage = |what: &'static str| {
            let path = path.to_path_buf();
            move |e: redb::Error| Error::Storage {
                path,
                what,
                source: Box::new(e),
            }
        };
        if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
            std::fs::create_dir_all(dir).map_err(|source| Error::Io {
                path: dir.to_path_buf(),
                what: "create the folder",
                source,
            })?;
        }
        let db = database(path)?;
        let mut all = Objects::new();
        let revision;
        let begin = db.begin_write().map_err(|e| storage("start a transaction")(e.into()))?;
        {
            let objects = begin
                .open_table(OBJECTS)
                .map_err(|e| storage("open the table of objects")(e.into()))?;
            let mut meta = begin
                .open_table(META)
                .map_err(|e| storage("open the table of facts")(e.into()))?;
            let format = meta
                .get(FORMAT)
                .map_err(|e| storage("read")(e.into()))?
                .map(|v| v.value());
            match format {
                None => {
                    meta.insert(FORMAT, FORMAT_VERSION)
                        .map_err(|e| storage("write")(e.into()))?;
                }
                Some(FORMAT_VERSION) => {}
                Some(other) => {
                    let why = format!("state format {other}; this mosdat reads format {FORMAT_VERSION}");
                    return Err(Error::Corrupt {
                        path: path.to_path_buf(),
                        why,
                    });
                }
            }
            revision = meta
                .get(REVISION)
                .map_err(|e| storage("read")(e.into()))?
                .map_or(1, |v| v.value());
            for row in objects.iter().map_err(|e| storage("read")(e.into()))? {
                let (key, value) = row.map_err(|e| storage("read")(e.into()))?;
                let broken = |why: String| Error::Corrupt {
                    path: path.to_path_buf(),
                    why,
                };
                let mut parts = key.value().splitn(3, '\0');
                let (Some(resource), Some(ns), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
                    return Err(broken(format!("the key {:?} has not three parts", key.value())));
                };
                let object = Stored::parse(value.value())
                    .map_err(|e| broken(format!("{resource} {ns}/{name} is not JSON: {e}")))?;
                let map = all.entry(resource.into()).or_default();
                map.insert((ns.into(), name.into()), Arc::new(object));
            }
        }
        begin.commit().map_err(|e| storage("commit")(e.into()))?;
        let disk = Disk {
            path: path.to_path_buf(),
            db: Some(db),
        };
        Ok((disk, revision, all))
    }

    /// Writes changes to `state` (as it was before them) in one transaction; on disk when this returns `Ok`.
    pub fn persist(&mut self, changes: &[Change], revision: u64, state: &State) -> Result<(), ApiError> {
        let (db, reopened) = match self.db.take() {
            Some(db) => (db, false),
            None => (database(&self.path).map_err(|e| self.refusal(e))?, true),
        };
        // Where this fails, the database is dropped: closed.
        transaction(&db, changes, revision, reopened.then_some(state)).map_err(|e| self.refusal(unwritten(e)))?;
        self.db = Some(db);
        Ok(())
    }

    fn refusal(&self, e: impl std::error::Error + 'static) -> ApiError {
        let free = free_mib(&self.path);
        tracing::error!("the state file {}: {e}", self.path.display());
        refusal(&self.path, &e, free)
    }
}

fn unwritten(e: redb::Error) -> std::io::Error {
    match e {
        redb::Error::Io(e) => e,
        other => std::io::Error::other(other),
    }
}

fn refusal(path: &Path, e: &(dyn std::error::Error + 'static), free_mib: Option<u64>) -> ApiError {
    let full = std::iter::successors(Some(e), |e| e.source())
        .filter_map(|e| e.downcast_ref::<std::io::Error>())
        .any(|e| {
            matches!(
                e.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            )
        });
    let path = path.display();
    let free = free_mib.map_or_else(String::new, |n| format!(" ({n} MiB free)"));
    match full {
        true => ApiError::insufficient_storage(format!(
            "nothing was changed: the disk of the state file {path} is full{free}; free some space there and try again"
        )),
        false => ApiError::internal(format!(
            "nothing was changed: the state file {path} cannot be written: {e}; see to its disk{free} and try again"
        )),
    }
}

/// Free space of a file's disk, MiB.
fn free_mib(path: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt as _;
    let c = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: statvfs is plain data, for which all zeroes is a value; `c` is a terminated string that outlives the call.
    let (rc, s) = unsafe {
        let mut s: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(c.as_ptr(), &mut s), s)
    };
    (rc == 0).then(|| (s.f_bavail * s.f_frsize) >> 20)
}

fn object_key(resource: &str, namespace: &str, name: &str) -> String {
    format!("{resource}\0{namespace}\0{name}")
}

/// `known` is what memory holds, where the file may hold something else.
fn transaction(db: &Database, changes: &[Change], revision: u64, known: Option<&State>) -> Result<(), redb::Error> {
    let mut txn = db.begin_write()?;
    txn.set_durability(Durability::Immediate)?;
    {
        let mut objects = txn.open_table(OBJECTS)?;
        let mut meta = txn.open_table(META)?;
        if let Some(state) = known {
            let written = meta.get(REVISION)?.map_or(1, |v| v.value());
            if written != state.revision {
                rewrite(&mut objects, &state.objects)?;
                meta.insert(FORMAT, FORMAT_VERSION)?;
            }
        }
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

fn rewrite(table: &mut Table<&str, &[u8]>, objects: &Objects) -> Result<(), redb::Error> {
    table.retain(|_, _| false)?;
    for (resource, map) in objects {
        for ((namespace, name), object) in map {
            table.insert(object_key(resource, namespace, name).as_str(), &object.json[..])?;
        }
    }
    Ok(())
}

fn database(path: &Path) -> Result<Database, Error> {
    // It holds Secrets: nobody else may read it.
    let private = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path);
    private
        .and_then(|f| f.set_permissions(std::fs::Permissions::from_mode(0o600)))
        .map_err(|source| Error::Io {
            path: path.to_path_buf(),
            what: "open",
            source,
        })?;
    redb::Builder::new()
        .set_cache_size(4 << 20)
        .create(path)
        .map_err(|e| match e {
            redb::DatabaseError::DatabaseAlreadyOpen | redb::DatabaseError::LockProtocolMismatch => Error::Locked {
                path: path.to_path_buf(),
            },
            redb::DatabaseError::UpgradeRequired(v) => Error::Corrupt {
                path: path.to_path_buf(),
                why: format!("redb file format {v} is too old"),
            },
            redb::DatabaseError::Storage(redb::StorageError::Corrupted(why)) => Error::Corrupt {
                path: path.to_path_buf(),
                why,
            },
            redb::DatabaseError::Storage(redb::StorageError::Io(source)) => match source.kind() {
                std::io::ErrorKind::InvalidData => Error::Corrupt {
                    path: path.to_path_buf(),
                    why: source.to_string(),
                },
                _ => Error::Io {
                    path: path.to_path_buf(),
                    what: "open",
                    source,
                },
            },
            other => Error::Storage {
                path: path.to_path_buf(),
                what: "open",
                source: Box::new(other.into()),
            },
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controlplane::object::Stored;
    use serde_json::json;

    #[test]
    fn a_full_disk_is_told_by_name() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let e = refusal(Path::new("/state/mosdat.redb"), &full, Some(0));
        assert_eq!((e.code, e.reason), (507, "InsufficientStorage"));
        for word in ["/state/mosdat.redb", "0 MiB free", "free some space"] {
            assert!(e.message.contains(word), "{}", e.message);
        }
        let opening = Error::Io {
            path: "/state/mosdat.redb".into(),
            what: "open",
            source: full,
        };
        assert_eq!(refusal(Path::new("/state"), &opening, None).code, 507);
        let e = refusal(Path::new("/state/x"), &std::io::Error::other("broken"), None);
        assert!(e.code == 500 && e.message.contains("/state/x"), "{}", e.message);
    }

    #[test]
    fn a_write_that_failed_and_yet_reached_the_file_is_undone_by_the_next() {
        let change = |revision: u64, name: &str| Change {
            revision,
            resource: "g/a".into(),
            kind: ChangeKind::Added,
            object: Arc::new(Stored::new(
                &json!({"metadata": {"name": name, "resourceVersion": revision.to_string()}}),
            )),
            previous: None,
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let (mut disk, revision, _) = Disk::open(&path).unwrap();
        let mut state = State::default();
        state.revision = revision;
        disk.persist(&[change(revision + 1, "lost")], revision + 1, &state)
            .unwrap();
        // As after a failure.
        disk.db = None;
        disk.persist(&[change(revision + 1, "kept")], revision + 1, &state)
            .unwrap();
        drop(disk);
        let (_, last, objects) = Disk::open(&path).unwrap();
        let names: Vec<&str> = objects["g/a"].keys().map(|k| k.1.as_str()).collect();
        assert_eq!((last, names), (revision + 1, vec!["kept"]));
    }
}
