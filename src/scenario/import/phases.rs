//! Phases: parts of a test that could be run alone. The steps with which they begin get ids.

use super::super::error::Place;
use super::super::node::{Entry, Node, Value};
use super::super::parse::is_id;
use super::old::whole;
use super::out::{Item, Member, Out, member};
use super::table::Area;
use super::{Import, told};

impl Import {
    /// The phases as written. Gives ids to the `items` that were made of `nodes`.
    pub fn phases(&mut self, entry: &Entry, nodes: &[Node], items: &mut [Item]) -> Vec<Member> {
        let mut found: Vec<Member> = Vec::new();
        let Value::Seq(phases) = &entry.value.value else {
            self.by_hand(Area::Top, "phases", &entry.place, &told(&entry.value));
            return found;
        };
        for phase in phases {
            match first_step(phase, nodes, items, &found) {
                Ok((item, name)) => {
                    self.tell_more(Area::Top, "phases", &phase.place, &format!(": `{name}`"));
                    let id = Out::Str(format!("{name}{BEGINS}"));
                    item.members.insert(0, member("id", id.clone()));
                    let mut fields = vec![member("from", id)];
                    let told = phase.get("name").and_then(super::library::describe);
                    fields.extend(told.map(|text| member("description", Out::Str(text))));
                    found.push(member(name, Out::Map(fields)));
                }
                Err(why) => {
                    let text = format!("{why}: {}", told(phase));
                    self.by_hand(Area::Top, "phases", &phase.place, &text);
                }
            }
        }
        found
    }
}

/// What the id of a phase's first step has behind the phase's name: a step and a phase do not share one.
const BEGINS: &str = "-begins";

/// The step with which a phase begins, and the name of the phase.
fn first_step<'i>(
    phase: &Node,
    nodes: &[Node],
    items: &'i mut [Item],
    known: &[Member],
) -> Result<(&'i mut Item, String), &'static str> {
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
    if !is_id(&format!("{id}{BEGINS}")) || !is_id(&id) || known.iter().any(|phase| phase.key == id) {
        return Err("its id cannot be the name of a phase here");
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
