//! What the pointer does besides clicking, fixed places, and watches over a span of time.

use super::super::model::{Button, Direction, Drag, Length, Never, Scroll, Target, Within};
use super::super::node::{Entry, Node, Value};
use super::super::vocabulary as v;
use super::Parser;
use super::fields::Fields;

impl Parser<'_> {
    pub(super) fn button(&mut self, fields: &Fields<'_>) -> Button {
        let choice = fields.get("button").map(|n| self.choice(n, "'button'", v::BUTTONS));
        match choice.flatten() {
            Some("middle") => Button::Middle,
            Some("right") => Button::Right,
            _ => Button::Left,
        }
    }

    /// Keys that are held during a click.
    pub(super) fn modifiers(&mut self, node: &Node) -> Option<Vec<String>> {
        let items = self.list(node, "'modifiers'")?;
        let mut held = Vec::new();
        for item in items {
            let word = self.choice(item, "a modifier", v::HELD)?;
            if held.iter().any(|h| h == word) {
                self.problem(&item.place, format!("'{word}' stands twice in 'modifiers'"));
                return None;
            }
            held.push(word.to_string());
        }
        Some(held)
    }

    /// What is pointed at stands beside the action's own words, and not in `target`: true where it does, which is told then.
    pub(super) fn target_beside(&mut self, node: &Node, action: &str, own: &[&str]) -> bool {
        let Value::Map(entries) = &node.value else { return false };
        let of_target = |e: &&Entry| v::TARGET.contains(&e.key.as_str()) && !own.contains(&e.key.as_str());
        let Some(first) = entries.iter().find(of_target).filter(|_| node.get("target").is_none()) else {
            return false;
        };
        let written = |e: &Entry| format!("{}: {}", e.key, e.value.flow());
        let (target, others): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|e| of_target(e));
        let target: Vec<String> = target.into_iter().map(written).collect();
        let target = format!("target: {{{}}}", target.join(", "));
        let all: Vec<String> = [target].into_iter().chain(others.into_iter().map(written)).collect();
        let message = format!(
            "{action} has what it points at in 'target': write {action}: {{{}}}",
            all.join(", ")
        );
        self.problem(&first.place, message);
        true
    }

    pub(super) fn hover(&mut self, node: &Node) -> Option<Target> {
        if let Some(target) = node.get("target") {
            let message = format!("hover takes the target itself: write hover: {}", target.flow());
            self.problem(&node.place, message);
            return None;
        }
        self.target(node, "'hover'")
    }

    pub(super) fn drag(&mut self, node: &Node) -> Option<Drag> {
        if self.target_beside(node, "drag", v::DRAG) {
            return None;
        }
        let fields = self.fields(node, "drag", v::DRAG)?;
        let button = self.button(&fields);
        let target = self.required(node, &fields, "target", "drag");
        let to = self.required(node, &fields, "to", "drag");
        let target = target.and_then(|n| self.target(n, "'target'"));
        let to = to.and_then(|n| self.target(n, "'to'"));
        Some(Drag {
            target: target?,
            to: to?,
            button,
        })
    }

    pub(super) fn scroll(&mut self, node: &Node) -> Option<Scroll> {
        if !matches!(node.value, Value::Map(_)) {
            let direction = self.direction(node, "'scroll'")?;
            return Some(Scroll {
                target: None,
                direction,
                notches: 3,
            });
        }
        if self.target_beside(node, "scroll", v::SCROLL) {
            return None;
        }
        let fields = self.fields(node, "scroll", v::SCROLL)?;
        let notches = match fields.get("notches") {
            Some(n) => self.integer(n, "'notches'", 1, 100)?,
            None => 3,
        };
        let target = match fields.get("target") {
            Some(n) => Some(self.target(n, "'target'")?),
            None => None,
        };
        let direction = self.required(node, &fields, "direction", "scroll")?;
        Some(Scroll {
            target,
            direction: self.direction(direction, "'direction'")?,
            notches: u32::try_from(notches).unwrap_or(3),
        })
    }

    fn direction(&mut self, node: &Node, what: &str) -> Option<Direction> {
        match self.choice(node, what, v::DIRECTIONS)? {
            "up" => Some(Direction::Up),
            "down" => Some(Direction::Down),
            "left" => Some(Direction::Left),
            _ => Some(Direction::Right),
        }
    }

    /// `[x, y]`: whole numbers are pixels, others parts of the screen.
    pub(super) fn place_on_screen(&mut self, node: &Node) -> Option<(Length, Length)> {
        match &node.value {
            Value::Seq(items) if items.len() == 2 => {
                let (x, y) = (
                    self.length(&items[0], "a place in 'at'"),
                    self.length(&items[1], "a place in 'at'"),
                );
                Some((x?, y?))
            }
            _ => {
                self.problem(&node.place, super::expected("'at'", "a list [x, y]", node));
                None
            }
        }
    }

    /// A region, or the title of a window.
    pub(super) fn within(&mut self, node: &Node) -> Option<Within> {
        match &node.value {
            Value::Seq(_) => self.region(node, "'in'").map(Within::Region),
            Value::Str(_) => self.text(node, "'in'").map(Within::Window),
            _ => {
                let wanted = "a list [x, y, width, height], or part of a window's title";
                self.problem(&node.place, super::expected("'in'", wanted, node));
                None
            }
        }
    }

    /// `[x, y, width, height]`.
    pub(super) fn region(&mut self, node: &Node, what: &str) -> Option<[Length; 4]> {
        let Value::Seq(items) = &node.value else { return None };
        if items.len() != 4 {
            let message = format!("{what} is [x, y, width, height], not {} numbers", items.len());
            self.problem(&node.place, message);
            return None;
        }
        let number = format!("a number in {what}");
        let sides: Vec<Option<Length>> = items.iter().map(|n| self.length(n, &number)).collect();
        let mut sides: Vec<Length> = sides.into_iter().collect::<Option<_>>()?;
        // 1.0 is 1 once it went through a program that writes JSON; nobody looks at a column of one pixel.
        for side in &mut sides[2..] {
            if *side == Length::Pixels(1) {
                *side = Length::Part(1_000_000);
            }
        }
        if sides[2..].iter().any(|side| side.of(10_000) == 0) {
            let message = format!("{what} is [x, y, width, height]; this region is empty");
            self.problem(&node.place, message);
            return None;
        }
        sides.try_into().ok()
    }

    fn length(&mut self, node: &Node, what: &str) -> Option<Length> {
        match node.value {
            Value::Int(n) if (0..=65_535).contains(&n) => u32::try_from(n).ok().map(Length::Pixels),
            Value::Float(part) if (0.0..=1.0).contains(&part) => Some(Length::Part((part * 1e6).round() as u32)),
            _ => {
                let wanted = "a whole number of pixels from 0, or a part of the screen from 0.0 to 1.0";
                self.problem(&node.place, super::expected(what, wanted, node));
                None
            }
        }
    }

    /// A condition with `for` beside it.
    pub(super) fn never(&mut self, node: &Node) -> Option<Never> {
        let Value::Map(entries) = &node.value else {
            self.problem(
                &node.place,
                format!(
                    "'never' must be an object with a condition and 'for', such as {{see: an error dialog, for: 5s}}, not {}",
                    node.kind()
                ),
            );
            return None;
        };
        let is_span = |e: &&Entry| v::NEVER.contains(&e.key.as_str());
        let Some(span) = entries.iter().find(|e| e.key == "for") else {
            self.problem(&node.place, "'never' needs 'for': how long to watch, such as for: 5s");
            return None;
        };
        let window = self.duration(&span.value, "'for'");
        let gap = match entries.iter().find(|e| e.key == "gap") {
            Some(e) => self.duration(&e.value, "'gap'").map(Some),
            None => Some(None),
        };
        let rest = Node {
            written: None,
            place: node.place.clone(),
            value: Value::Map(entries.iter().filter(|e| !is_span(e)).cloned().collect()),
        };
        let check = self.check(&rest, "'never'");
        Some(Never {
            check: check?,
            window: window?,
            gap: gap?,
        })
    }
}
