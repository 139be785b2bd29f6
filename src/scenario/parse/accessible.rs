//! Elements of the accessibility tree, as targets and conditions name them.

use super::super::accessible::{Accessible, ROLES, STATES};
use super::super::error::unknown;
use super::super::model::{Check, Fits, NodeCheck};
use super::super::node::{Node, Value};
use super::super::vocabulary as v;
use super::Parser;
use super::fields::Fields;

impl Parser<'_> {
    /// The members of a target or of a `node` condition that speak of the accessibility tree; `None` inside where there
    /// is none of them.
    pub(super) fn accessible(&mut self, fields: &Fields<'_>) -> Option<Option<Accessible>> {
        let Some(first) = v::NODE.iter().find_map(|key| fields.entry(key)) else {
            return Some(None);
        };
        let role = match fields.get("role") {
            Some(n) => Some(self.role(n)?),
            None => None,
        };
        let name = match fields.get("name") {
            Some(n) => Some(self.fits_or_text(n, "'name'")?),
            None => None,
        };
        if role.is_none() && name.is_none() {
            self.problem(
                &first.place,
                format!(
                    "'{}' says more about an element of the accessibility tree; it needs 'role' or 'name' beside it",
                    first.key
                ),
            );
            return None;
        }
        let states = match fields.get("state") {
            Some(n) => self.states(n)?,
            None => Vec::new(),
        };
        let app = match fields.get("app") {
            Some(n) => Some(self.text(n, "'app'")?),
            None => None,
        };
        let path = match fields.get("path") {
            Some(n) => {
                let items = self.list(n, "'path'")?;
                let texts: Vec<_> = items.iter().map(|item| self.text(item, "'path'")).collect();
                texts.into_iter().collect::<Option<Vec<String>>>()?
            }
            None => Vec::new(),
        };
        Some(Some(Accessible {
            role,
            name,
            states,
            app,
            path,
        }))
    }

    /// `node: {role, name, ...}` with what the element's value has to be like beside it.
    pub(super) fn node_check(&mut self, node: &Node, beside: &Fields<'_>) -> Option<Check> {
        let fields = self.fields(node, "node", v::NODE)?;
        let element = self.accessible(&fields)?;
        let Some(element) = element else {
            if !fields.has_strangers() {
                self.problem(&node.place, "node needs 'role' or 'name'");
            }
            return None;
        };
        let fits = self.fits(beside)?;
        let value = (!fits.is_empty()).then_some(fits);
        Some(Check::Node(Box::new(NodeCheck { element, value })))
    }

    fn role(&mut self, node: &Node) -> Option<String> {
        let role = self.literal(node, "'role'")?;
        if !ROLES.contains(&role) {
            let message = match nearest(role) {
                Some(near) => format!("unknown role '{role}' of the accessibility tree; is '{near}' meant?"),
                None => unknown("role of the accessibility tree", "roles", role, ROLES),
            };
            self.problem(&node.place, message);
            return None;
        }
        Some(role.to_string())
    }

    /// `checked`, `not checked`, or a list of such.
    fn states(&mut self, node: &Node) -> Option<Vec<(String, bool)>> {
        let one;
        let items = match &node.value {
            Value::Seq(items) => items.as_slice(),
            _ => {
                one = [node.clone()];
                &one
            }
        };
        let states: Vec<Option<(String, bool)>> = items.iter().map(|item| self.state(item)).collect();
        states.into_iter().collect()
    }

    fn state(&mut self, node: &Node) -> Option<(String, bool)> {
        let text = self.literal(node, "'state'")?;
        let (state, wanted) = match text.strip_prefix("not ") {
            Some(state) => (state.trim(), false),
            None => (text, true),
        };
        if !STATES.contains(&state) {
            self.problem(
                &node.place,
                unknown("state", "states, each also after 'not'", state, STATES),
            );
            return None;
        }
        Some((state.to_string(), wanted))
    }

    /// Text is what it has to be; an object says `contains`, `equals`, `matches`.
    pub(super) fn fits_or_text(&mut self, node: &Node, what: &str) -> Option<Fits> {
        if !matches!(node.value, Value::Map(_)) {
            let equals = Some(self.text(node, what)?);
            return Some(Fits {
                equals,
                ..Fits::default()
            });
        }
        let plain = what.trim_matches('\'');
        let fields = self.fields(node, plain, v::CLIPBOARD)?;
        let fits = self.fits(&fields)?;
        if fits.is_empty() {
            if !fields.has_strangers() {
                self.problem(&node.place, format!("{plain} needs one of {}", v::CLIPBOARD.join(", ")));
            }
            return None;
        }
        Some(fits)
    }
}

/// What people call it elsewhere (ARIA, UIA, toolkits).
fn nearest(role: &str) -> Option<&'static str> {
    let wanted: String = role.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    let plain = |name: &&&str| name.chars().filter(|c| c.is_alphanumeric()).collect::<String>() == wanted;
    if let Some(same) = ROLES.iter().find(plain) {
        return Some(same);
    }
    let known = match wanted.as_str() {
        "checkbox" => "check box",
        "textbox" | "edit" | "input" | "textfield" | "field" | "searchbox" => "text",
        "hyperlink" => "link",
        "tab" | "tabitem" => "page tab",
        "tablist" => "page tab list",
        "combobox" | "select" | "dropdown" => "combo box",
        "option" => "list item",
        "img" | "picture" => "image",
        "group" => "panel",
        "radio" => "radio button",
        "spinbutton" | "spinner" => "spin button",
        "statusbar" | "status" => "status bar",
        "treeitem" => "tree item",
        "cell" | "gridcell" => "table cell",
        "row" => "table row",
        "tooltip" => "tool tip",
        "toolbar" => "tool bar",
        "progressbar" => "progress bar",
        "scrollbar" => "scroll bar",
        "menuitem" => "menu item",
        _ => return None,
    };
    Some(known)
}
