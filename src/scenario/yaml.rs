//! YAML text to a tree with places.
//!
//! The parser is the one beneath serde-saphyr, read by its events: only they give the place of every key. Scalars
//! follow the YAML 1.2 core schema (`yes` and `on` are text), so a file means what the API server understands of it.

use super::error::{Place, Problems};
use super::mistakes;
use super::node::{Entry, Node, Value};
use granit_parser::{Event, Options, Parser, ScalarStyle, Span};
use std::collections::HashMap;

/// How much a file may be: more is no scenario but an attack (aliases of aliases of aliases).
const MAX_NODES: usize = 100_000;
const MAX_DEPTH: usize = 64;

struct Reader<'a, 'p> {
    text: &'a str,
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    /// The predecessor's dialect, in which a scalar may have the tag `!import`.
    old: bool,
    problems: &'p mut Problems,
}

/// Stops reading; the problem is recorded already.
struct Stop;

/// Reads the documents of a text. None where the text is not YAML; the problem is then recorded.
pub(super) fn read(text: &str, problems: &mut Problems) -> Option<Vec<Node>> {
    documents(text, false, problems)
}

/// As [`read`], for the predecessor's files: `!import NAME` is read as `{import: NAME}`.
pub(super) fn read_old(text: &str, problems: &mut Problems) -> Option<Vec<Node>> {
    documents(text, true, problems)
}

fn documents(text: &str, old: bool, problems: &mut Problems) -> Option<Vec<Node>> {
    // Nobody reads comments here, and the parser would refuse more than some ninety in a row.
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut reader = Reader {
        text,
        parser: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes: 0,
        old,
        problems,
    };
    reader.documents().ok()
}

fn place(span: &Span) -> Place {
    Place::Line(span.start.line(), span.start.col() + 1)
}

impl<'a> Reader<'a, '_> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => continue,
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => {
                    let mark = error.marker();
                    let place = Place::Line(mark.line().max(1), mark.col() + 1);
                    let hint = mistakes::hint(self.text, mark.line().max(1), &error.info());
                    self.problems.add(&place, format!("not YAML: {}{hint}", error.info()));
                    return Err(Stop);
                }
                None => return Ok((Event::StreamEnd, Span::default())),
            }
        }
    }

    fn documents(&mut self) -> Result<Vec<Node>, Stop> {
        let mut documents = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(documents),
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => documents.push(self.node(event, &span, 0)?.0),
            }
        }
    }

    /// Reads the node that begins with `event`; returns it with its size in nodes.
    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<(Node, usize), Stop> {
        let at = place(span);
        if depth > MAX_DEPTH {
            self.problems
                .add(&at, format!("nested more than {MAX_DEPTH} levels deep"));
            return Err(Stop);
        }
        self.count(1, &at)?;
        let anchor = event.anchor_id();
        let mut written = None;
        let (value, size) = match event {
            Event::Scalar(text, style, _, tag) => {
                let value = self.scalar(&text, style, tag.as_deref(), &at);
                if matches!(value, Value::Int(_) | Value::Float(_)) {
                    written = Some(text.to_string());
                }
                (value, 1)
            }
            Event::SequenceStart(..) => {
                let (mut items, mut size) = (Vec::new(), 1);
                loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        break;
                    }
                    let (item, n) = self.node(event, &span, depth + 1)?;
                    items.push(item);
                    size += n;
                }
                (Value::Seq(items), size)
            }
            Event::MappingStart(..) => self.mapping(depth)?,
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                Some((node, size)) => {
                    self.count(size, &at)?;
                    written = node.written;
                    (node.value, size)
                }
                None => {
                    self.problems.add(&at, "an alias inside the node that it names");
                    return Err(Stop);
                }
            },
            _ => {
                self.problems.add(&at, "not YAML: a value is missing");
                return Err(Stop);
            }
        };
        let node = Node {
            written,
            place: at,
            value,
        };
        if let Some(id) = anchor {
            self.anchors.insert(id, (node.clone(), size));
        }
        Ok((node, size))
    }

    fn mapping(&mut self, depth: usize) -> Result<(Value, usize), Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut size = 1;
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok((Value::Map(entries), size));
            }
            let at = place(&span);
            let key = match event {
                Event::Scalar(text, ..) => text.to_string(),
                _ => {
                    let hint = mistakes::hint(self.text, span.start.line(), "");
                    self.problems.add(&at, format!("a key must be plain text{hint}"));
                    return Err(Stop);
                }
            };
            let (event, span) = self.next()?;
            let (value, n) = self.node(event, &span, depth + 1)?;
            size += n;
            if let Some(first) = entries.iter().find(|e| e.key == key) {
                let before = match &first.place {
                    Place::Line(line, _) => format!("; it is given in line {line} already"),
                    _ => String::new(),
                };
                self.problems.add(&at, format!("duplicate key '{key}'{before}"));
                continue;
            }
            entries.push(Entry { key, place: at, value });
        }
    }

    fn count(&mut self, nodes: usize, at: &Place) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            self.problems.add(
                at,
                format!("more than {MAX_NODES} values, aliases counted as what they stand for"),
            );
            return Err(Stop);
        }
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&granit_parser::Tag>, at: &Place) -> Value {
        if let Some(tag) = tag {
            if tag.core_suffix() == Some("str") {
                return Value::Str(text.to_string());
            }
            if self.old && tag.original() == "!import" {
                let value = Node {
                    written: None,
                    place: at.clone(),
                    value: Value::Str(text.to_string()),
                };
                return Value::Map(vec![Entry {
                    key: "import".to_string(),
                    place: at.clone(),
                    value,
                }]);
            }
            self.problems
                .add(at, format!("the tag {} is not used here", tag.original()));
        }
        match style {
            ScalarStyle::Plain => plain(text),
            _ => Value::Str(text.to_string()),
        }
    }
}

/// The value of an unquoted scalar in the YAML 1.2 core schema.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        if let Ok(i) = text.parse::<i64>() {
            return Value::Int(i);
        }
        let number = digits
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'));
        if number && let Ok(f) = text.parse::<f64>() {
            return Value::Float(f);
        }
    }
    Value::Str(text.to_string())
}
