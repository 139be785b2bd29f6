//! What a scenario takes from files beside it is put into it: imported routines, and files for the guest. After that it
//! is one object, which a cluster can hold.

use super::error::{Place, Problems};
use super::node::{Entry, Node, Value};
use super::parse::BIGGER;
use super::yaml;
use base64::Engine;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much a file beside the scenario may hold, in bytes; the API server takes objects of at most 1.5 MiB.
const MOST: u64 = 512 * 1024;

/// Puts into `tree`, which was read from `file`, what it names. True where there was anything.
pub(super) fn bundle(tree: &mut Node, file: &Path, problems: &mut Problems) -> bool {
    let mut way = Way {
        here: vec![normal(file)],
        read: BTreeSet::new(),
    };
    let staged = stage_files(tree, file, problems);
    let mut routines = Vec::new();
    let imported = imports(tree, file, &mut way, &mut routines, problems);
    let Value::Map(entries) = &mut tree.value else {
        return staged;
    };
    if !routines.is_empty() {
        let at = entries.iter().position(|e| e.key == "routines").unwrap_or_else(|| {
            entries.push(Entry {
                key: "routines".to_string(),
                place: tree.place.clone(),
                value: Node {
                    written: None,
                    place: tree.place.clone(),
                    value: Value::Map(Vec::new()),
                },
            });
            entries.len() - 1
        });
        if let Value::Map(own) = &mut entries[at].value.value {
            for routine in routines {
                match own.iter().find(|e| e.key == routine.key) {
                    Some(first) => problems.add(
                        &routine.place,
                        format!(
                            "the routine '{}' is declared {} already",
                            routine.key,
                            told(&first.place, file)
                        ),
                    ),
                    None => own.push(routine),
                }
            }
        }
    }
    staged || imported
}

/// The files that import each other down to the present one, and all that were read.
struct Way {
    here: Vec<PathBuf>,
    read: BTreeSet<PathBuf>,
}

/// Collects the routines of the imported files, and takes `imports` away.
fn imports(tree: &mut Node, file: &Path, way: &mut Way, routines: &mut Vec<Entry>, problems: &mut Problems) -> bool {
    let Value::Map(entries) = &mut tree.value else {
        return false;
    };
    let Some(at) = entries.iter().position(|e| e.key == "imports") else {
        return false;
    };
    let entry = entries.remove(at);
    let Value::Seq(items) = entry.value.value else {
        problems.add(
            &entry.value.place,
            "'imports' must be a list of files, relative to this one",
        );
        return true;
    };
    for item in items {
        let Some(name) = item.as_str() else {
            problems.add(
                &item.place,
                format!("an import must be the path of a file, not {}", item.kind()),
            );
            continue;
        };
        if let Some(path) = beside(file, name, &item.place, problems) {
            import(&path, &item.place, way, routines, problems);
        }
    }
    true
}

fn import(path: &Path, place: &Place, way: &mut Way, routines: &mut Vec<Entry>, problems: &mut Problems) {
    let normal = normal(path);
    if way.here.contains(&normal) {
        let here = way.here.iter().chain([&normal]);
        let names: Vec<String> = here.map(|p| p.display().to_string()).collect();
        problems.add(place, format!("files import each other: {}", names.join(" -> ")));
        return;
    }
    // A file that comes in two ways is the same file.
    if !way.read.insert(normal.clone()) {
        return;
    }
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            problems.add(place, unreadable(path, &error));
            return;
        }
    };
    let origin = path.display().to_string();
    let mut own = Problems::new(&origin);
    let documents = yaml::read(&text, &mut own);
    problems.take(own);
    let Some(mut documents) = documents else { return };
    let (Some(mut tree), true) = (documents.pop(), documents.is_empty()) else {
        problems.add(place, format!("{origin} must be one document with 'routines'"));
        return;
    };
    let name: Arc<str> = origin.into();
    in_file(&mut tree, &name);
    stage_files(&mut tree, path, problems);
    let before = routines.len();
    way.here.push(normal);
    let imported = imports(&mut tree, path, way, routines, problems);
    way.here.pop();
    let Value::Map(entries) = tree.value else {
        problems.add(place, format!("{name} must be an object with 'routines'"));
        return;
    };
    let mut declares = false;
    for entry in entries {
        match (entry.key.as_str(), entry.value.value) {
            ("routines", Value::Map(found)) => {
                declares = true;
                routines.extend(found);
            }
            ("routines", _) => problems.add(&entry.value.place, "'routines' must be an object"),
            ("name" | "description", _) => {}
            (other, _) => problems.add(
                &entry.place,
                format!("an imported file has 'routines' and 'imports', and no '{other}'"),
            ),
        }
    }
    if !declares && !imported && routines.len() == before {
        problems.add(place, format!("{name} has no 'routines'"));
    }
}

/// Replaces `from` of every `stage` by what the file holds.
fn stage_files(node: &mut Node, file: &Path, problems: &mut Problems) -> bool {
    let mut any = false;
    match &mut node.value {
        Value::Seq(items) => {
            for item in items {
                any |= stage_files(item, file, problems);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                if entry.key == "stage"
                    && let Value::Map(fields) = &mut entry.value.value
                {
                    for field in fields.iter_mut().filter(|f| f.key == "from") {
                        any |= embed(field, file, problems);
                    }
                } else {
                    any |= stage_files(&mut entry.value, file, problems);
                }
            }
        }
        _ => {}
    }
    any
}

fn embed(field: &mut Entry, file: &Path, problems: &mut Problems) -> bool {
    let Some(name) = field.value.as_str() else {
        problems.add(
            &field.value.place,
            format!("'from' must be the path of a file, not {}", field.value.kind()),
        );
        return without_content(field);
    };
    let Some(path) = beside(file, name, &field.value.place, problems) else {
        return without_content(field);
    };
    let read = std::fs::metadata(&path).and_then(|m| match m.len() {
        length if length > MOST => Err(std::io::Error::other(format!(
            "it has {} KiB, and a scenario may hold {} KiB; {BIGGER}",
            length / 1024,
            MOST / 1024
        ))),
        _ => std::fs::read(&path),
    });
    match read {
        Ok(bytes) => {
            field.key = "base64".to_string();
            field.value.value = Value::Str(base64::engine::general_purpose::STANDARD.encode(bytes));
            true
        }
        Err(error) => {
            problems.add(&field.value.place, unreadable(&path, &error));
            without_content(field)
        }
    }
}

/// What is wrong with the file is told; that there is no content is no further mistake.
fn without_content(field: &mut Entry) -> bool {
    field.key = "base64".to_string();
    field.value.value = Value::Str("AA==".to_string());
    false
}

/// Why a file that another names cannot be used.
fn unreadable(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no file {path}"),
        std::io::ErrorKind::PermissionDenied => format!("{path} may not be read"),
        _ => format!("{path} cannot be taken: {error}"),
    }
}

/// The path of a file that `file` names.
fn beside(file: &Path, name: &str, place: &Place, problems: &mut Problems) -> Option<PathBuf> {
    if Path::new(name).is_absolute() {
        problems.add(
            place,
            format!("'{name}' is an absolute path, which is another file on the next machine; write it relative to this file"),
        );
        return None;
    }
    Some(file.parent().unwrap_or(Path::new("")).join(name))
}

/// One name for one file, as far as it is there.
fn normal(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

fn in_file(node: &mut Node, file: &Arc<str>) {
    let moved = |place: &mut Place| {
        if let Place::Line(line, column) = *place {
            *place = Place::File(file.clone(), line, column);
        }
    };
    moved(&mut node.place);
    match &mut node.value {
        Value::Seq(items) => items.iter_mut().for_each(|item| in_file(item, file)),
        Value::Map(entries) => {
            for entry in entries {
                moved(&mut entry.place);
                in_file(&mut entry.value, file);
            }
        }
        _ => {}
    }
}

fn told(place: &Place, file: &Path) -> String {
    match place {
        Place::Line(line, _) => format!("in {}:{line}", file.display()),
        Place::File(name, line, _) => format!("in {name}:{line}"),
        Place::Path(path) => format!("at {path}"),
        Place::Whole => "there".to_string(),
    }
}
