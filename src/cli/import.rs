//! `mosdat import FILE`: a scenario of the predecessor in this language. The file is only read; the new text goes to
//! standard output, what became of each part of the old one to standard error.

use super::exit;
use super::seed::unreadable;
use crate::scenario::{Errors, Fate, ImportRemark, Place, Problem, import};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Arguments of `mosdat import`.
#[derive(clap::Args)]
pub struct Args {
    /// A scenario, a fragment or a routine of the predecessor; the routines and fragments that it names are looked for in
    /// `shared/` of the folders above it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Form of the remarks.
    #[arg(long, default_value = "text")]
    format: Format,
    /// Leave out the remarks about what is kept as it was.
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// As compilers write it.
    Text,
    /// An array of objects.
    Json,
}

/// Prints both.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let origin = args.file.display().to_string();
    let text = match std::fs::read_to_string(&args.file) {
        _ if args.file.is_dir() => Err(one_by_one(&args.file)),
        Ok(text) => Ok(text),
        Err(e) => Err(unreadable(&args.file, &e)),
    };
    let imported = match text.and_then(|text| import(&origin, &text)) {
        Ok(imported) => imported,
        Err(errors) => {
            match args.format {
                Format::Text => eprintln!("{errors}"),
                Format::Json => {
                    let told = errors.0.iter().map(|p| {
                        at(
                            &p.place,
                            json!({
                                "fate": "error", "file": p.origin, "message": p.message,
                            }),
                        )
                    });
                    eprintln!("{:#}", Value::Array(told.collect()));
                }
            }
            return Ok(exit::INVALID);
        }
    };
    print!("{}", imported.text);
    let count = |fate: Fate| imported.remarks.iter().filter(|r| r.fate == fate).count();
    let shown = imported
        .remarks
        .iter()
        .filter(|r| !(args.quiet && r.fate == Fate::Kept));
    match args.format {
        Format::Text => {
            shown.for_each(|r| eprintln!("{r}"));
            let all = [Fate::Kept, Fate::Changed, Fate::Dropped, Fate::ByHand];
            let told: Vec<String> = all.iter().map(|fate| format!("{} {fate}", count(*fate))).collect();
            eprintln!("{}", told.join(", "));
        }
        Format::Json => eprintln!("{:#}", Value::Array(shown.map(as_json).collect())),
    }
    Ok(match count(Fate::ByHand) {
        0 => exit::PASSED,
        _ => exit::INVALID,
    })
}

/// What to do with a folder: each file becomes one of its own.
fn one_by_one(folder: &Path) -> Errors {
    let origin = folder.display().to_string();
    let message = format!(
        "a folder, and each file of it becomes one of its own: for f in {0}/*.yaml; do mosdat import \"$f\" > \"NEW/${{f##*/}}\"; done",
        origin.trim_end_matches('/')
    );
    Errors(vec![Problem {
        origin,
        place: Place::Whole,
        message,
    }])
}

fn as_json(remark: &ImportRemark) -> Value {
    let object = json!({
        "fate": remark.fate.as_str(),
        "construct": remark.construct.old,
        "file": remark.origin,
        "message": remark.message,
    });
    at(&remark.place, object)
}

/// With the place, where there is one.
pub(super) fn at(place: &Place, mut object: Value) -> Value {
    if let Place::Line(line, column) = place {
        object["line"] = json!(line);
        object["column"] = json!(column);
    }
    object
}
