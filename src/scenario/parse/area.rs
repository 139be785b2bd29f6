//! What in a reference's picture counts: areas, and where a click goes.

use super::super::error::Problems;
use super::super::node::{Entry, Node, Value};
use super::super::reference::{Area, AreaKind, Library, MARGIN, SIMILARITY, Size};
use super::super::{vocabulary as v, yaml};
use super::fields::Fields;
use super::{Parser, Scope};

/// Areas of one picture.
const MOST_AREAS: usize = 100;
/// A margin beyond any screen.
const MOST_MARGIN: i64 = 10_000;

/// What a sidecar says.
pub(in crate::scenario) struct Sidecar {
    pub areas: Vec<Area>,
    pub click: Option<(u32, u32)>,
}

impl Parser<'_> {
    pub(super) fn areas_and_click(
        &mut self,
        node: &Node,
        fields: &Fields<'_>,
        what: &str,
        size: Size,
    ) -> Option<Sidecar> {
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
        let click = click?;
        Some(Sidecar { areas, click })
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

    fn area(&mut self, node: &Node, size: Size) -> Option<Area> {
        let fields = self.fields(node, "an area", v::AREA)?;
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
                text: {
                    let text = self.required(node, &fields, "text", "an 'ocr' area")?;
                    self.literal(text, "'text'")?.to_string()
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

/// The areas and the click point of a sidecar.
pub(in crate::scenario) fn sidecar(text: &str, size: Size, problems: &mut Problems) -> Option<Sidecar> {
    let documents = yaml::read(text, problems)?;
    let [node] = documents.as_slice() else {
        let place = documents.get(1).map_or(super::Place::Whole, |n| n.place.clone());
        problems.add(&place, "a sidecar is one object with 'areas'");
        return None;
    };
    let mut parser = Parser::new(problems, Scope::default(), Library::default());
    let fields = parser.fields(node, "a sidecar", v::SIDECAR)?;
    parser.areas_and_click(node, &fields, "a sidecar", size)
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
