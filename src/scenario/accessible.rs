//! Elements of the accessibility tree: what a scenario may ask of one.

use super::check::Fits;

/// What an element has to be like: all that is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accessible {
    /// Its role, a word of [`ROLES`].
    pub role: Option<String>,
    /// What its name has to be like.
    pub name: Option<Fits>,
    /// States that it has (true) or has not.
    pub states: Vec<(String, bool)>,
    /// Part of the name of its program, upper and lower case alike.
    pub app: Option<String>,
    /// Names or roles of elements that it is in, the outermost first. Others may be between them.
    pub path: Vec<String>,
}

impl Accessible {
    /// The role's names in all versions of the toolkits; empty without a role.
    pub fn roles(&self) -> Vec<&str> {
        match &self.role {
            Some(role) => same_role(role),
            None => Vec::new(),
        }
    }

    /// True where elements count that are not on the screen: a state says so.
    pub fn may_be_hidden(&self) -> bool {
        self.states.iter().any(|(state, _)| SHOWN.contains(&state.as_str()))
    }
}

/// States of an element that is on the screen.
const SHOWN: &[&str] = &["showing", "visible"];

/// Names of one role: they changed with versions, and toolkits do not agree.
const SAME: &[&[&str]] = &[
    &["push button", "button"],
    &["push button menu", "button menu"],
    &["text", "entry"],
    &["label", "static"],
];

/// All names of a role.
pub fn same_role(role: &str) -> Vec<&str> {
    match SAME.iter().find(|names| names.contains(&role)) {
        Some(names) => names.to_vec(),
        None => vec![role],
    }
}

/// True for a word of [`ROLES`].
pub fn is_role(text: &str) -> bool {
    ROLES.contains(&text)
}

/// States as AT-SPI names them (atspi-constants.h, `AtspiStateType`), those that tell an author something.
pub const STATES: &[&str] = &[
    "active",
    "busy",
    "checkable",
    "checked",
    "collapsed",
    "editable",
    "enabled",
    "expandable",
    "expanded",
    "focusable",
    "focused",
    "indeterminate",
    "invalid-entry",
    "is-default",
    "modal",
    "pressed",
    "read-only",
    "required",
    "selectable",
    "selected",
    "sensitive",
    "showing",
    "visible",
    "visited",
];

/// Roles as AT-SPI names them (`atspi_role_get_name`).
pub const ROLES: &[&str] = &[
    "accelerator label",
    "alert",
    "animation",
    "application",
    "arrow",
    "article",
    "audio",
    "autocomplete",
    "block quote",
    "button",
    "button menu",
    "calendar",
    "canvas",
    "caption",
    "chart",
    "check box",
    "check menu item",
    "color chooser",
    "column header",
    "combo box",
    "comment",
    "content deletion",
    "content insertion",
    "date editor",
    "definition",
    "description list",
    "description term",
    "description value",
    "desktop frame",
    "desktop icon",
    "dial",
    "dialog",
    "directory pane",
    "document email",
    "document frame",
    "document presentation",
    "document spreadsheet",
    "document text",
    "document web",
    "drawing area",
    "editbar",
    "embedded",
    "entry",
    "extended",
    "file chooser",
    "filler",
    "focus traversable",
    "font chooser",
    "footer",
    "footnote",
    "form",
    "frame",
    "glass pane",
    "grouping",
    "header",
    "heading",
    "html container",
    "icon",
    "image",
    "image map",
    "info bar",
    "input method window",
    "internal frame",
    "label",
    "landmark",
    "layered pane",
    "level bar",
    "link",
    "list",
    "list box",
    "list item",
    "log",
    "mark",
    "marquee",
    "math",
    "math fraction",
    "math root",
    "menu",
    "menu bar",
    "menu item",
    "notification",
    "option pane",
    "page",
    "page tab",
    "page tab list",
    "panel",
    "paragraph",
    "password text",
    "popup menu",
    "progress bar",
    "push button",
    "push button menu",
    "radio button",
    "radio menu item",
    "rating",
    "redundant object",
    "root pane",
    "row header",
    "ruler",
    "scroll bar",
    "scroll pane",
    "section",
    "separator",
    "slider",
    "spin button",
    "split pane",
    "static",
    "status bar",
    "subscript",
    "suggestion",
    "superscript",
    "switch",
    "table",
    "table cell",
    "table column header",
    "table row",
    "table row header",
    "tearoff menu item",
    "terminal",
    "text",
    "timer",
    "title bar",
    "toggle button",
    "tool bar",
    "tool tip",
    "tree",
    "tree item",
    "tree table",
    "unknown",
    "video",
    "viewport",
    "window",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_all_its_names() {
        assert_eq!(same_role("button"), ["push button", "button"]);
        assert_eq!(same_role("link"), ["link"]);
        for name in SAME.iter().flat_map(|names| names.iter()) {
            assert!(ROLES.contains(name), "{name}");
        }
        assert!(ROLES.is_sorted() && STATES.is_sorted());
        assert!(SHOWN.iter().all(|state| STATES.contains(state)));
    }
}
