//! References: what a target names, what a scenario brings with it, and what a sidecar says.

use super::super::error::Problems;
use super::super::model::TargetFields;
use super::super::node::{Entry, Node, Value};
use super::super::reference::{Area, AreaKind, Files, Library, MARGIN, Picture, Reference, SIMILARITY, Variant};
use super::super::reference::{find, split_key, wrong_name};
use super::super::{error::unknown, vocabulary as v, yaml};
use super::Parser;
use super::fields::Fields;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Areas of one picture.
const MOST_AREAS: usize = 100;
/// A margin beyond any screen.
const MOST_MARGIN: i64 = 10_000;

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
                     could be; 'mosdat run' puts references in, and 'mosdat visual --embed FILE' prints what can be applied"
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
        if target.reference.is_some() && target.text.is_none() && target.describe.is_none() {
            let only_text = ["exact", "near", "left_of", "right_of", "above", "below"];
            let nth = (!anywhere).then_some("nth");
            if let Some(other) = only_text.into_iter().chain(nth).find_map(|k| fields.entry(k)) {
                let message = match other.key.as_str() {
                    "nth" => "'nth' of a 'reference' needs 'anywhere': at its place there is one".to_string(),
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
        let ((areas, click), display) = (parsed?, display.ok()?);
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
        let fields = self.fields(node, &what, v::REFERENCE, &v::NONE)?;
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
        let (areas, click) = self.areas_and_click(node, &fields, &what, picture.size())?;
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

    fn areas_and_click(
        &mut self,
        node: &Node,
        fields: &Fields<'_>,
        what: &str,
        size: (u32, u32),
    ) -> Option<(Vec<Area>, Option<(u32, u32)>)> {
        let click = match fields.get("click") {
            Some(n) => match numbers(n, 2).as_deref() {
                Some([x, y]) if *x < size.0 && *y < size.1 => Some(Some((*x, *y))),
                _ => {
                    let wanted = format!("a place [x, y] inside the picture, which is {}x{}", size.0, size.1);
                    self.problem(&n.place, super::expected("'click'", &wanted, n));
                    None
                }
            },
            None => Some(None),
        };
        let list = self.required(node, fields, "areas", what)?;
        let items = self.list(list, "'areas'")?;
        if items.len() > MOST_AREAS {
            self.problem(&list.place, format!("'areas' has more than {MOST_AREAS}"));
            return None;
        }
        let areas: Vec<Option<Area>> = items.iter().map(|item| self.area(item, size)).collect();
        let areas = areas.into_iter().collect::<Option<Vec<Area>>>()?;
        self.meaningful(list, items, &areas).then_some(())?;
        Some((areas, click?))
    }

    /// Areas that compare nothing are mistakes.
    fn meaningful(&mut self, list: &Node, items: &[Node], areas: &[Area]) -> bool {
        let excluded: Vec<&Area> = areas.iter().filter(|a| a.kind == AreaKind::Exclude).collect();
        let is_match = |a: &&Area| matches!(a.kind, AreaKind::Match { .. });
        if excluded.len() == areas.len() {
            self.problem(&list.place, "'areas' needs a 'match' or an 'ocr' area");
            return false;
        }
        for (item, area) in items.iter().zip(areas) {
            let message = match area.kind {
                AreaKind::Exclude if !areas.iter().filter(is_match).any(|a| a.meets(area)) => {
                    "this 'exclude' lies in no 'match' area, so that it excludes nothing"
                }
                AreaKind::Match { .. } if area.without(&excluded).is_empty() => {
                    "all of this 'match' area is excluded, so that nothing is compared"
                }
                _ => continue,
            };
            self.problem(&item.place, message);
            return false;
        }
        true
    }

    fn area(&mut self, node: &Node, size: (u32, u32)) -> Option<Area> {
        let fields = self.fields(node, "an area", v::AREA, &v::NONE)?;
        let kinds: Vec<&Entry> = v::AREA_KINDS.iter().filter_map(|k| fields.entry(k)).collect();
        let kind = match kinds.as_slice() {
            [kind] => *kind,
            [] => {
                if !fields.has_strangers() {
                    let kinds = v::AREA_KINDS.join(", ");
                    self.problem(
                        &node.place,
                        format!("an area needs one of {kinds}, with its place [x, y, width, height]"),
                    );
                }
                return None;
            }
            [a, b, ..] => {
                self.problem(
                    &b.place,
                    format!("an area is one of '{}' and '{}', not both", a.key, b.key),
                );
                return None;
            }
        };
        let allowed: &[&str] = match kind.key.as_str() {
            "match" => &["margin", "similarity"],
            "ocr" => &["text"],
            _ => &[],
        };
        let options = ["margin", "similarity", "text"];
        if let Some(other) = options
            .iter()
            .filter(|o| !allowed.contains(o))
            .find_map(|o| fields.entry(o))
        {
            self.problem(
                &other.place,
                format!("'{}' has no meaning beside '{}'", other.key, kind.key),
            );
            return None;
        }
        let (x, y, width, height) = match numbers(&kind.value, 4).as_deref() {
            Some([x, y, width, height]) if *width > 0 && *height > 0 => (*x, *y, *width, *height),
            _ => {
                let what = format!("'{}'", kind.key);
                let wanted = "a list [x, y, width, height] of whole numbers of pixels";
                self.problem(&kind.value.place, super::expected(&what, wanted, &kind.value));
                return None;
            }
        };
        let ends = |from: u32, length: u32, whole: u32| from.checked_add(length).is_some_and(|end| end <= whole);
        if !ends(x, width, size.0) || !ends(y, height, size.1) {
            self.problem(
                &kind.value.place,
                format!(
                    "the area [{x}, {y}, {width}, {height}] reaches beyond the picture, which is {}x{}",
                    size.0, size.1
                ),
            );
            return None;
        }
        let kind = match kind.key.as_str() {
            "match" => AreaKind::Match {
                margin: match fields.get("margin") {
                    Some(n) => u32::try_from(self.integer(n, "'margin'", 0, MOST_MARGIN)?).ok()?,
                    None => MARGIN,
                },
                similarity: match fields.get("similarity") {
                    Some(n) => self.similarity(n)?,
                    None => SIMILARITY,
                },
            },
            "ocr" => AreaKind::Ocr {
                text: match self.required(node, &fields, "text", "an 'ocr' area")? {
                    n => self.literal(n, "'text'")?.to_string(),
                },
            },
            _ => AreaKind::Exclude,
        };
        Some(Area {
            x,
            y,
            width,
            height,
            kind,
        })
    }

    fn similarity(&mut self, node: &Node) -> Option<f64> {
        let value = match node.value {
            Value::Int(n) => n as f64,
            Value::Float(f) => f,
            _ => f64::NAN,
        };
        if (0.1..=1.0).contains(&value) {
            return Some(value);
        }
        self.problem(
            &node.place,
            super::expected("'similarity'", "a number from 0.1 to 1", node),
        );
        None
    }
}

/// A reference by its name.
pub(in crate::scenario) fn named(name: &str, library: Library, problems: &mut Problems) -> Option<Arc<Reference>> {
    let mut parser = Parser {
        problems,
        inputs: BTreeMap::new(),
        values: None,
        references: library,
    };
    parser.reference(&Node {
        place: super::Place::Whole,
        value: Value::Str(name.to_string()),
    })
}

/// The areas and the click point of a sidecar.
pub(in crate::scenario) fn sidecar(
    text: &str,
    size: (u32, u32),
    problems: &mut Problems,
) -> Option<(Vec<Area>, Option<(u32, u32)>)> {
    let documents = yaml::read(text, problems)?;
    let [node] = documents.as_slice() else {
        let place = documents.get(1).map_or(super::Place::Whole, |n| n.place.clone());
        problems.add(&place, "a sidecar is one object with 'areas'");
        return None;
    };
    let mut parser = Parser {
        problems,
        inputs: BTreeMap::new(),
        values: None,
        references: Library::default(),
    };
    let fields = parser.fields(node, "a sidecar", v::SIDECAR, &v::NONE)?;
    parser.areas_and_click(node, &fields, "a sidecar", size)
}

/// The screen's size that the key tells; the picture must have it.
fn display_of(key: &str, size: (u32, u32)) -> Result<Option<(u32, u32)>, String> {
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

/// So many whole numbers from 0.
fn numbers(node: &Node, count: usize) -> Option<Vec<u32>> {
    let Value::Seq(items) = &node.value else { return None };
    let number = |item: &Node| match item.value {
        Value::Int(n) => u32::try_from(n).ok(),
        _ => None,
    };
    let all: Option<Vec<u32>> = items.iter().map(number).collect();
    all.filter(|all| all.len() == count)
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
