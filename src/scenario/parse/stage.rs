//! Files for the guest.

use super::super::machine::is_of_drive;
use super::super::model::Stage;
use super::super::node::Node;
use super::super::vocabulary as v;
use super::Parser;
use base64::Engine;

/// Bytes of all files in a scenario: it is one object of the API server.
pub(super) const MOST: usize = 512 * 1024;
/// What to do with one that is larger.
pub(in crate::scenario) const BIGGER: &str = "let a 'shell' step of 'setup' fetch it from a server of yours (curl or wget in Linux, \
    Invoke-WebRequest in Windows), or put it into the template";

impl Parser<'_> {
    pub(super) fn stage(&mut self, node: &Node) -> Option<Stage> {
        let fields = self.fields(node, "stage", v::STAGE)?;
        if let Some(entry) = fields.entry("from") {
            // A file's files are put into it before it is parsed.
            self.problem(
                &entry.place,
                "'from' names a file, which only a scenario in a file can have beside it; 'mosdat bundle FILE' prints a \
                 scenario with its files in it",
            );
            return None;
        }
        let path = self.required(node, &fields, "path", "stage")?;
        let path = self.guest_path(path, "'path'")?;
        let content = match (fields.get("content"), fields.get("base64")) {
            (Some(n), None) => self.words_shown(n, "'content'")?.into_bytes(),
            (None, Some(n)) => {
                let text: String = self.literal(n, "'base64'")?.split_whitespace().collect();
                match base64::engine::general_purpose::STANDARD.decode(text) {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        self.problem(&n.place, format!("'base64' is no base64: {error}"));
                        return None;
                    }
                }
            }
            (Some(n), Some(_)) => {
                self.problem(&n.place, "'content' and 'base64' are two contents for one file");
                return None;
            }
            (None, None) => {
                if !fields.has_strangers() {
                    self.problem(&node.place, "stage needs 'content', 'base64' or 'from'");
                }
                return None;
            }
        };
        if content.len() > MOST {
            self.problem(
                &node.place,
                format!(
                    "the file has {} KiB; a scenario may hold {} KiB; {BIGGER}",
                    content.len() / 1024,
                    MOST / 1024
                ),
            );
            return None;
        }
        let mode = match fields.get("mode") {
            Some(n) => {
                let text = self.literal(n, "'mode'")?;
                match u32::from_str_radix(text, 8) {
                    Ok(mode) if mode <= 0o7777 => Some(mode),
                    _ => {
                        self.problem(
                            &n.place,
                            format!("'mode' is an octal number such as \"0755\", not '{text}'"),
                        );
                        return None;
                    }
                }
            }
            None => None,
        };
        let owner = match fields.get("owner") {
            Some(n) => Some(self.text(n, "'owner'")?),
            None => None,
        };
        Some(Stage {
            path,
            content,
            mode,
            owner,
        })
    }

    /// Absolute (in Windows with its drive), or in the home of the session's user.
    pub(super) fn guest_path(&mut self, node: &Node, what: &str) -> Option<String> {
        let path = self.text(node, what)?;
        let whole = path.starts_with('/') || path.starts_with("~/") || is_of_drive(&path);
        if !self.is_unfilled(&path) && !whole {
            self.problem(
                &node.place,
                format!("{what} must begin with /, with ~/ (the home of the session's user) or with a drive (C:\\), unlike '{path}'"),
            );
            return None;
        }
        Some(path)
    }

    /// Text that may be empty, in which inputs may be used, but no secret ones.
    fn words_shown(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.value {
            super::Value::Str(text) if text.is_empty() => Some(String::new()),
            super::Value::Str(text) => self.fill_in(&node.place, text, what),
            _ => {
                self.problem(&node.place, super::expected(what, "text", node));
                None
            }
        }
    }
}
