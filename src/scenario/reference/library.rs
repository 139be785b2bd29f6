//! The references that one scenario knows.

use super::super::node::{Entry, Node, Value};
use super::{MOST_BYTES, Reference, Variant};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The references of a scenario while it is read: those that came with it, and those read from files.
#[derive(Clone, Debug, Default)]
pub(in crate::scenario) struct Library {
    /// Folder of the scenario's file; none where it did not come from one.
    folder: Option<PathBuf>,
    known: BTreeMap<String, Arc<Reference>>,
    /// Names that turned out to be wrong: that is told once.
    broken: BTreeSet<String>,
    used: BTreeSet<String>,
    /// What was read from files, as `references` holds it.
    fresh: Vec<(String, serde_json::Value)>,
    bytes: usize,
}

impl Library {
    /// One that may read files of this folder.
    pub fn beside(folder: Option<&Path>) -> Library {
        Library {
            folder: folder.map(Path::to_path_buf),
            ..Library::default()
        }
    }

    /// Where files may be read.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Adds variants of a reference.
    ///
    /// # Errors
    /// All pictures together are too large.
    pub fn add(&mut self, name: &str, variants: Vec<Variant>) -> Result<(), String> {
        self.bytes += variants.iter().map(|v| v.png.len()).sum::<usize>();
        let slot = self.known.entry(name.to_string()).or_insert_with(|| {
            Arc::new(Reference {
                name: name.to_string(),
                variants: Vec::new(),
            })
        });
        Arc::make_mut(slot).variants.extend(variants);
        match self.bytes > MOST_BYTES {
            true => Err(format!(
                "the references of this scenario have {} KiB by now; at most {} KiB fit into a scenario: make their areas smaller",
                self.bytes.div_ceil(1024),
                MOST_BYTES / 1024
            )),
            false => Ok(()),
        }
    }

    /// Remembers what was read from a file, for the scenario's `references`.
    pub fn keep(&mut self, key: &str, value: serde_json::Value) {
        self.fresh.push((key.to_string(), value));
    }

    /// Remembers that this name has been told to be wrong.
    pub fn is_broken(&mut self, name: &str) {
        self.broken.insert(name.to_string());
    }

    /// True if this name has been told to be wrong.
    pub fn knows_broken(&self, name: &str) -> bool {
        self.broken.contains(name)
    }

    /// The reference of this name; it then counts as used.
    pub fn get(&mut self, name: &str) -> Option<Arc<Reference>> {
        self.used.insert(name.to_string());
        self.known.get(name).cloned()
    }

    /// Names of the references that came with the scenario.
    pub fn names(&self) -> Vec<&str> {
        self.known.keys().map(String::as_str).collect()
    }

    /// The first reference that nothing uses.
    pub fn unused(&self) -> Option<&str> {
        let unused = |name: &&str| !self.used.contains(*name);
        self.names().into_iter().find(unused)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Reference>> {
        self.known.values()
    }

    /// Puts what was read from files into the scenario's `references`; true where there was anything.
    pub fn embed(&mut self, tree: &mut Node) -> bool {
        let Value::Map(entries) = &mut tree.value else {
            return false;
        };
        if self.fresh.is_empty() {
            return false;
        }
        const KEY: &str = "references";
        let at = match entries.iter().position(|e| e.key == KEY) {
            Some(at) => at,
            None => {
                entries.push(Entry {
                    key: KEY.to_string(),
                    place: tree.place.clone(),
                    value: Node {
                        written: None,
                        place: tree.place.clone(),
                        value: Value::Map(Vec::new()),
                    },
                });
                entries.len() - 1
            }
        };
        let Value::Map(inside) = &mut entries[at].value.value else {
            return false;
        };
        for (key, value) in self.fresh.drain(..) {
            let path = format!("{KEY}.{key}");
            let value = Node::from_json(&value, &path);
            let place = value.place.clone();
            inside.push(Entry { key, place, value });
        }
        true
    }
}
