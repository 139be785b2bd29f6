//! Phases: parts of a test that could be run alone. Their first steps get ids, by which a run can begin there.

use super::super::error::Place;
use super::super::node::{Entry, Node, Value};
use super::super::parse::is_id;
use super::old::whole;
use super::out::{Item, Out, member};
use super::table::Area;
use super::{Import, told};

impl Import {
    /// Gives ids to the `items` that were made of `nodes`.
    pub fn phases(&mut self, entry: &Entry, nodes: &[Node], items: &mut [Item]) {
        let Value::Seq(phases) = &entry.value.value else {
            return self.by_hand(Area::Top, "phases", &entry.place, &told(&entry.value));
        };
        for phase in phases {
            match first_step(phase, nodes, items) {
                Ok((item, id)) => {
                    self.tell_more(Area::Top, "phases", &phase.place, &format!(": `--from {id}`"));
                    item.members.insert(0, member("id", Out::Str(id)));
                }
                Err(why) => {
                    let text = format!("{why}: {}", told(phase));
                    self.by_hand(Area::Top, "phases", &phase.place, &text);
                }
            }
        }
    }
}

/// The step with which a phase begins, and the id for it.
fn first_step<'i>(phase: &Node, nodes: &[Node], items: &'i mut [Item]) -> Result<(&'i mut Item, String), &'static str> {
    let number = phase
        .get("from_step")
        .and_then(whole)
        .and_then(|n| usize::try_from(n).ok());
    let node = number
        .and_then(|n| nodes.get(n.checked_sub(1)?))
        .ok_or("there is no step of this number")?;
    let before = &nodes[..number.unwrap_or(1) - 1];
    if before
        .iter()
        .any(|n| n.get("routine").is_some() || n.get("import").is_some())
    {
        return Err("the number counted the steps of routines before it");
    }
    let id = phase
        .get("id")
        .and_then(Node::as_str)
        .unwrap_or_default()
        .to_lowercase();
    let id: String = id
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let id = id.trim_matches('-').to_string();
    let has_id = |item: &Item| item.members.iter().any(|m| m.key == "id");
    let taken = items
        .iter()
        .flat_map(|i| &i.members)
        .any(|m| matches!(&m.value, Out::Str(s) if m.key == "id" && *s == id));
    if !is_id(&id) || taken {
        return Err("its id cannot be one of a step");
    }
    // What it began with may be left out, or be in `setup`.
    let begins = |item: &&mut Item| !item.members.is_empty() && is_behind(&item.from.1, &node.place);
    match items.iter_mut().find(begins) {
        Some(item) if !has_id(item) => Ok((item, id)),
        _ => Err("no step is left that it could begin with"),
    }
}

fn is_behind(place: &Place, first: &Place) -> bool {
    matches!((place, first), (Place::Line(..), Place::Line(..))) && place >= first
}
