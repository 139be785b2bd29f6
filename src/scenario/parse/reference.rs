//! References: what a target names, in files or in what the scenario brings with it.

use super::super::error::Problems;
use super::super::model::TargetFields;
use super::super::node::{Entry, Node, Value};
use super::super::reference::{
    AreaKind, Files, Library, Picture, Reference, Size, Variant, find, split_key, wrong_name,
};
use super::super::{error::unknown, vocabulary as v};
use super::area::{Sidecar, sidecar};
use super::fields::Fields;
use super::{Parser, Scope};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::sync::Arc;

impl Parser<'_> {
    /// The reference that a target or a condition names.
    pub(super) fn reference(&mut self, node: &Node) -> Option<Arc<Reference>> {
        let name = self.literal(node, "'reference'")?;
        if let Some(message) = wrong_name(name) {
            self.problem(&node.place, message);
            return None;
        }
        if self.references.knows_broken(name) {
            return None;
        }
        if let Some(known) = self.references.get(name) {
            return Some(known);
        }
        let Some(folder) = self.references.folder().map(std::path::Path::to_path_buf) else {
            let names = self.references.names();
            let message = match names.is_empty() {
                true => format!(
                    "the reference '{name}' is not in 'references', and this scenario did not come from a file beside which it \
                     could be; 'mosdat run' puts references in, and 'mosdat bundle FILE' prints what can be applied"
                ),
                false => unknown("reference", "references", name, &names),
            };
            self.problem(&node.place, message);
            return None;
        };
        match find(&folder, name) {
            Ok(files) => {
                let variants: Option<Vec<Variant>> = files.iter().map(|f| self.variant_from_files(f)).collect();
                let Some(variants) = variants else {
                    self.references.is_broken(name);
                    return None;
                };
                if let Err(message) = self.references.add(name, variants) {
                    self.references.is_broken(name);
                    self.problem(&node.place, message);
                    return None;
                }
                self.references.get(name)
            }
            Err(message) => {
                self.references.is_broken(name);
                self.problem(&node.place, message);
                None
            }
        }
    }

    /// `anywhere` of a target, and what has no meaning beside a reference alone.
    pub(super) fn anywhere(&mut self, fields: &Fields<'_>, target: &TargetFields) -> Option<bool> {
        let anywhere = match fields.get("anywhere") {
            Some(n) => {
                let Some(reference) = &target.reference else {
                    self.problem(
                        &n.place,
                        "'anywhere' is for a 'reference', which this target does not have",
                    );
                    return None;
                };
                let anywhere = self.boolean(n, "'anywhere'")?;
                if anywhere && !reference.variants.iter().all(Variant::has_match) {
                    self.problem(
                        &n.place,
                        format!(
                            "'anywhere' needs a 'match' area to look for, which the reference '{}' does not have",
                            reference.name
                        ),
                    );
                    return None;
                }
                anywhere
            }
            None => false,
        };
        if target.text.is_none() && target.describe.is_none() {
            let only_text = ["exact", "near", "left_of", "right_of", "above", "below"];
            let element = target.element.is_some();
            let nth = (!anywhere && !element).then_some("nth");
            let within = (!element).then_some("in");
            if let Some(other) = (only_text.into_iter().chain(nth).chain(within)).find_map(|k| fields.entry(k)) {
                let message = match other.key.as_str() {
                    "nth" => "'nth' of a 'reference' needs 'anywhere': at its place there is one".to_string(),
                    key if element => format!(
                        "'{key}' has no meaning for an element of the accessibility tree; it is for a 'text' beside it"
                    ),
                    key => format!("'{key}' has no meaning for a 'reference' alone; it is for a 'text' beside it"),
                };
                self.problem(&other.place, message);
                return None;
            }
        }
        Some(anywhere)
    }

    /// Reads a picture and its sidecar, whose problems have places of their own.
    fn variant_from_files(&mut self, files: &Files) -> Option<Variant> {
        let mut problems = Problems::new(&files.png.display().to_string());
        let whole = super::Place::Whole;
        let mut read = |path: &std::path::Path| match std::fs::read(path) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                problems.add(&whole, format!("{} cannot be read: {error}", path.display()));
                None
            }
        };
        let (png, text) = (read(&files.png), read(&files.sidecar));
        let picture = png.as_ref().and_then(|png| match Picture::read(png) {
            Ok(picture) => Some(picture),
            Err(message) => {
                problems.add(&whole, message);
                None
            }
        });
        self.problems.absorb(problems);
        let (png, text, picture) = (png?, text?, picture?);
        let digest = hex::encode(Sha256::new().chain_update(&png).chain_update(&text).finalize());

        let mut problems = Problems::new(&files.sidecar.display().to_string());
        let parsed = sidecar(&String::from_utf8_lossy(&text), picture.size(), &mut problems);
        let display = display_of(&files.key, picture.size()).map_err(|message| problems.add(&whole, message));
        self.problems.absorb(problems);
        let (Sidecar { areas, click }, display) = (parsed?, display.ok()?);
        let png = match picture.reduced(&areas) {
            Ok(png) => png,
            Err(message) => {
                self.problem(&whole, format!("{}: {message}", files.png.display()));
                return None;
            }
        };
        let variant = Variant {
            display,
            png,
            size: picture.size(),
            areas,
            click,
            digest,
        };
        self.references.keep(&files.key, embedded(&variant));
        Some(variant)
    }

    /// `references`: the pictures that came with the scenario.
    pub(super) fn read_references(&mut self, node: &Node) {
        let Value::Map(entries) = &node.value else {
            self.problem(&node.place, super::expected("'references'", "an object", node));
            return;
        };
        for entry in entries {
            let (name, display) = split_key(&entry.key);
            let variant = match (wrong_name(name), display) {
                (Some(message), _) | (None, Some(Err(message))) => {
                    self.problem(&entry.place, message);
                    None
                }
                (None, _) => self.variant_from_tree(entry),
            };
            match variant {
                Some(variant) => {
                    if let Err(message) = self.references.add(name, vec![variant]) {
                        self.problem(&entry.place, message);
                        self.references.is_broken(name);
                        return;
                    }
                }
                None => self.references.is_broken(name),
            }
        }
    }

    fn variant_from_tree(&mut self, entry: &Entry) -> Option<Variant> {
        let node = &entry.value;
        let what = format!("reference '{}'", entry.key);
        let fields = self.fields(node, &what, v::REFERENCE)?;
        let png = self.required(node, &fields, "png", &what)?;
        let bytes = STANDARD.decode(self.literal(png, "'png'")?.as_bytes());
        let picture = match &bytes {
            Ok(bytes) => Picture::read(bytes),
            Err(error) => Err(format!("not base64: {error}")),
        };
        let picture = match picture {
            Ok(picture) => picture,
            Err(message) => {
                self.problem(&png.place, format!("'png' of {what}: {message}"));
                return None;
            }
        };
        let display = match display_of(&entry.key, picture.size()) {
            Ok(display) => display,
            Err(message) => {
                self.problem(&entry.place, message);
                return None;
            }
        };
        let Sidecar { areas, click } = self.areas_and_click(node, &fields, &what, picture.size())?;
        let mut variant = Variant {
            display,
            png: bytes.ok()?,
            size: picture.size(),
            areas,
            click,
            digest: String::new(),
        };
        variant.digest = match fields.get("digest") {
            Some(n) => {
                let digest = self.literal(n, "'digest'")?;
                if digest.len() != 64 || !digest.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)) {
                    self.problem(
                        &n.place,
                        "'digest' must be a SHA-256: 64 hexadecimal digits, lower-case",
                    );
                    return None;
                }
                digest.to_string()
            }
            None => {
                let files = Sha256::new().chain_update(&variant.png).chain_update(variant.sidecar());
                hex::encode(files.finalize())
            }
        };
        Some(variant)
    }
}

/// A reference by its name.
pub(in crate::scenario) fn named(name: &str, library: Library, problems: &mut Problems) -> Option<Arc<Reference>> {
    let mut parser = Parser::new(problems, Scope::default(), library);
    parser.reference(&Node {
        written: None,
        place: super::Place::Whole,
        value: Value::Str(name.to_string()),
    })
}

/// The screen's size that the key tells; the picture must have it.
fn display_of(key: &str, size: Size) -> Result<Option<Size>, String> {
    match split_key(key).1 {
        None => Ok(None),
        Some(Err(message)) => Err(message),
        Some(Ok(display)) if display == size => Ok(Some(display)),
        Some(Ok((w, h))) => Err(format!(
            "'{key}' is for a screen of {w}x{h}, but its picture is {}x{}; it must be a picture of the whole screen",
            size.0, size.1
        )),
    }
}

/// A variant as `references` holds it.
fn embedded(variant: &Variant) -> serde_json::Value {
    let areas: Vec<serde_json::Value> = variant
        .areas
        .iter()
        .map(|a| {
            let place = [a.x, a.y, a.width, a.height];
            match &a.kind {
                AreaKind::Match { margin, similarity } => {
                    json!({"match": place, "margin": margin, "similarity": similarity})
                }
                AreaKind::Ocr { text } => json!({"ocr": place, "text": text}),
                AreaKind::Exclude => json!({"exclude": place}),
            }
        })
        .collect();
    let mut value = json!({"png": STANDARD.encode(&variant.png), "digest": variant.digest, "areas": areas});
    if let Some((x, y)) = variant.click {
        value["click"] = json!([x, y]);
    }
    value
}
