//! Which files a command reads of what it is given, and the documents in them.

use super::plain;
use crate::scenario::{OLD_DIALECT, OTHER_TOOL, Place, Problem, Remark, of_other_tool, old_dialect};
use std::path::{Path, PathBuf};

/// What makes a folder a Helm chart.
const CHART: &str = "Chart.yaml";

/// The text of one document, with the line numbers of its file.
pub struct Part {
    /// The file.
    pub file: PathBuf,
    /// The document's first line.
    pub line: usize,
    /// What stands before the document is blank lines.
    pub text: String,
}

impl Part {
    /// Something that is wrong with the document as a whole.
    pub fn problem(&self, message: String) -> Problem {
        Problem {
            origin: self.file.display().to_string(),
            place: Place::Line(self.line, 1),
            message,
        }
    }
}

/// What files hold, as text.
#[derive(Default)]
pub struct Texts {
    /// Their documents.
    pub parts: Vec<Part>,
    /// Files and folders that could not be read, or hold nothing.
    pub problems: Vec<Problem>,
    /// Files of the predecessor's dialect and of other tools in folders that are looked through with all below them:
    /// whoever checks all that is there has not asked for them. Why they are left aside.
    pub aside: Vec<Remark>,
    /// How many files were read.
    pub files: usize,
}

/// Finds files and parts them into documents: those that are named, and of folders the `*.yaml` and `*.yml`, sorted, without
/// sidecars of references. With `deep` those of their subfolders too, but not of hidden ones, and without what is
/// evidently not meant.
pub fn texts(paths: &[PathBuf], deep: bool) -> Texts {
    let mut texts = Texts::default();
    for file in files(paths, deep, &mut texts) {
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                if deep
                    && !paths.contains(&file)
                    && let Some(aside) = not_meant(&file.display().to_string(), &text)
                {
                    texts.aside.push(aside);
                    continue;
                }
                texts.files += 1;
                let parts = split(&text);
                if parts.is_empty() {
                    texts
                        .problems
                        .push(whole(&file, "there is nothing in this file".into()));
                }
                texts.parts.extend(parts.into_iter().map(|(line, text)| Part {
                    file: file.clone(),
                    line,
                    text,
                }));
            }
            Err(e) => texts.problems.push(whole(&file, plain(&e.to_string()))),
        }
    }
    texts
}

/// Why a file that nobody named is left aside, if it is.
fn not_meant(origin: &str, text: &str) -> Option<Remark> {
    let old = old_dialect(origin, text).map(|why| Remark::left_aside(&OLD_DIALECT, why));
    old.or_else(|| of_other_tool(origin, text).map(|why| Remark::left_aside(&OTHER_TOOL, why)))
}

/// A problem of a file or a folder as a whole.
fn whole(path: &Path, message: String) -> Problem {
    Problem {
        origin: path.display().to_string(),
        place: Place::Whole,
        message,
    }
}

fn files(paths: &[PathBuf], deep: bool, texts: &mut Texts) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for path in paths {
        if !path.is_dir() {
            out.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        let aside = texts.aside.len();
        walk(path, deep, &mut inside, texts);
        if inside.is_empty() && texts.aside.len() == aside {
            let subfolders = if deep { " or below it" } else { "" };
            texts
                .problems
                .push(whole(path, format!("no .yaml file in this folder{subfolders}")));
        }
        inside.sort();
        out.append(&mut inside);
    }
    out
}

fn walk(folder: &Path, deep: bool, out: &mut Vec<PathBuf>, texts: &mut Texts) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) => {
            texts.problems.push(whole(folder, plain(&e.to_string())));
            return;
        }
    };
    let chart = deep && folder.join(CHART).is_file();
    if chart {
        let why = "a Helm chart: its templates become manifests by 'helm template', which can be checked then";
        let why = whole(&folder.join(CHART), why.into());
        texts.aside.push(Remark::left_aside(&OTHER_TOOL, why));
    }
    for entry in entries.flatten() {
        let path = entry.path();
        if chart && is_of_chart(&entry.file_name().to_string_lossy()) {
            continue;
        }
        // A link to a folder is not followed: it could lead back here.
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            if deep && !entry.file_name().to_string_lossy().starts_with('.') {
                walk(&path, deep, out, texts);
            }
        } else if path.extension().is_some_and(|x| x == "yaml" || x == "yml") && !path.with_extension("png").is_file() {
            // Beside a picture of its name it is the sidecar of a reference.
            out.push(path);
        }
    }
}

/// What Helm reads of a chart's folder, which is no YAML or no manifest.
fn is_of_chart(name: &str) -> bool {
    [CHART, "templates", "charts"].contains(&name) || name.starts_with("values")
}

/// Splits a stream into documents. Each keeps the line numbers of the file: what stands before it is blank lines.
fn split(text: &str) -> Vec<(usize, String)> {
    let mut out: Vec<(usize, String)> = Vec::new();
    let (mut start, mut body) = (0, String::new());
    let mut flush = |start: usize, body: &mut String| {
        if body
            .lines()
            .any(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#'))
        {
            out.push((start + 1, format!("{}{}", "\n".repeat(start), body)));
        }
        body.clear();
    };
    for (i, line) in text.lines().enumerate() {
        if line == "---" || line.starts_with("--- ") {
            flush(start, &mut body);
            // A document may begin on the line of its separator.
            let rest = line[3..].trim_start();
            if rest.is_empty() || rest.starts_with('#') {
                start = i + 1;
            } else {
                start = i;
                body.push_str("    ");
                body.push_str(&line[4..]);
                body.push('\n');
            }
        } else {
            body.push_str(line);
            body.push('\n');
        }
    }
    flush(start, &mut body);
    out
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn documents_keep_the_line_numbers_of_their_file() {
        let parts = split("a: 1\n--- {b: 2}\n--- # nothing\nc: 3\n");
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[1], (2, "\n    {b: 2}\n".to_string()));
        assert_eq!(parts[2], (4, "\n\n\nc: 3\n".to_string()));
        let parts = split("# head\na: 1\n---\n# only a comment\n---\nb: 2\n");
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].0, 1);
        assert_eq!(parts[1].0, 6);
        assert_eq!(parts[1].1.lines().position(|l| l == "b: 2"), Some(5));
    }
}
