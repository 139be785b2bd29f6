//! Where the files of a reference are.

use super::super::error::nearest;
use super::split_key;
use std::path::{Path, PathBuf};

/// Endings of sidecars.
const SIDECARS: [&str; 3] = ["yaml", "yml", "json"];
/// The folder beside the scenario's file.
const FOLDER: &str = "references";

/// The files of one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::scenario) struct Files {
    /// `save-button`, or `save-button@1280x800`.
    pub key: String,
    pub png: PathBuf,
    pub sidecar: PathBuf,
}

/// The files of a reference in `folder` or its folder `references`, the one without a screen's size first.
///
/// # Errors
/// There is none, or a part of it is missing: with the names that there are.
pub(in crate::scenario) fn find(folder: &Path, name: &str) -> Result<Vec<Files>, String> {
    let roots = [folder.to_path_buf(), folder.join(FOLDER)];
    for root in &roots {
        let found = in_root(root, name)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let mut names: Vec<String> = roots.iter().flat_map(|root| beside(root, name)).collect();
    names.sort();
    names.dedup();
    let hint =
        nearest(name, names.iter().map(String::as_str)).map_or(String::new(), |n| format!("; did you mean '{n}'?"));
    let there = match names.is_empty() {
        true => "no references are there; 'mosdat visual --capture' makes one".to_string(),
        false => format!("references there: {}", names.join(", ")),
    };
    let png = |root: &PathBuf| root.join(format!("{name}.png")).display().to_string();
    Err(format!(
        "there is no reference '{name}', neither {} nor {}{hint}{} {there}",
        png(&roots[0]),
        png(&roots[1]),
        if hint.is_empty() { ";" } else { "" },
    ))
}

/// The files in one folder whose key is the name, or the name with a screen's size.
fn in_root(root: &Path, name: &str) -> Result<Vec<Files>, String> {
    let base = name.rsplit('/').next().unwrap_or(name);
    let folder = match name.rsplit_once('/') {
        Some((folders, _)) => root.join(folders),
        None => root.to_path_buf(),
    };
    let mut found = Vec::new();
    for stem in stems(&folder, &["png"]) {
        if split_key(&stem).0 != base {
            continue;
        }
        let png = folder.join(format!("{stem}.png"));
        let sidecars: Vec<PathBuf> = SIDECARS
            .iter()
            .map(|end| folder.join(format!("{stem}.{end}")))
            .filter(|path| path.is_file())
            .collect();
        match sidecars.as_slice() {
            [sidecar] => found.push(Files {
                key: match name.rsplit_once('/') {
                    Some((folders, _)) => format!("{folders}/{stem}"),
                    None => stem,
                },
                png,
                sidecar: sidecar.clone(),
            }),
            [] => {
                return Err(format!(
                    "{} has no sidecar that says what in it counts; write {} ('mosdat visual --capture' makes both)",
                    png.display(),
                    folder.join(format!("{stem}.yaml")).display()
                ));
            }
            [a, b, ..] => {
                return Err(format!("{} and {} are both there; keep one", a.display(), b.display()));
            }
        }
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

/// The names of references in the folder where `name` would be.
fn beside(root: &Path, name: &str) -> Vec<String> {
    let (folder, prefix) = match name.rsplit_once('/') {
        Some((folders, _)) => (root.join(folders), format!("{folders}/")),
        None => (root.to_path_buf(), String::new()),
    };
    // A picture alone is no reference.
    let described = stems(&folder, &SIDECARS);
    let stems = stems(&folder, &["png"]).into_iter();
    stems
        .filter(|stem| described.contains(stem))
        .map(|stem| format!("{prefix}{}", split_key(&stem).0))
        .collect()
}

/// Names of the folder's files with one of these endings, without it. A folder that cannot be read has none.
fn stems(folder: &Path, ends: &[&str]) -> Vec<String> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
    names
        .filter_map(|name| {
            let (stem, end) = name.rsplit_once('.')?;
            ends.contains(&end).then(|| stem.to_string())
        })
        .collect()
}
