//! The outermost object: name, inputs, sections.

use super::super::error::unknown;
use super::super::model::{Action, Check, Input, InputType, Platform, Scalar, Section, Step};
use super::super::node::{Node, Value};
use super::super::phase::Phase;
use super::super::{template, vocabulary as v};
use super::Parser;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a scenario's outermost object says.
pub(in crate::scenario) struct Parsed {
    pub name: String,
    pub description: Option<String>,
    pub platforms: Vec<Platform>,
    pub setup: Vec<Step>,
    pub steps: Vec<Step>,
    pub cleanup: Vec<Step>,
    pub budget: Option<Duration>,
    pub phases: Vec<Phase>,
    pub outputs: Vec<String>,
}

/// Reads the whole; what is wrong is recorded, and the rest is read on.
pub(in crate::scenario) fn scenario(parser: &mut Parser<'_>, node: &Node) -> Option<Parsed> {
    let fields = parser.fields(node, "a scenario", v::TOP)?;
    if let Some(inputs) = fields.get("inputs") {
        parser.inputs = parser.read_inputs(inputs);
        parser.scope.inputs = parser.inputs.clone();
    }
    if let Some(variables) = fields.get("variables") {
        parser.variables(variables);
    }
    let budget = fields.get("budget").and_then(|n| parser.budget(n));
    if let Some(imports) = fields.entry("imports") {
        // A file's imports are resolved before it is parsed.
        parser.problem(
            &imports.place,
            "'imports' names files, which only a file can have; 'mosdat bundle FILE' prints a scenario with its routines \
             in it",
        );
    }
    if let Some(references) = fields.get("references") {
        parser.read_references(references);
    }
    let mut platforms = Vec::new();
    if let Some(list) = fields.get("platforms") {
        for item in parser.list(list, "'platforms'").unwrap_or_default() {
            let word = parser.choice(item, "'platforms'", v::PLATFORMS);
            platforms.extend(Platform::ALL.iter().filter(|p| word == Some(p.as_str())));
        }
    }
    parser.windows = platforms.contains(&Platform::Windows);
    if let Some(routines) = fields.get("routines") {
        parser.routines(routines);
    }
    let name = parser
        .required(node, &fields, "name", "a scenario")
        .and_then(|n| parser.literal(n, "'name'"));
    let description = fields
        .get("description")
        .and_then(|n| parser.literal(n, "'description'"));
    parser.captures = super::captured::captured(&["setup", "steps", "cleanup"].map(|key| fields.get(key)));
    let mut section = |section: Section, max: usize| match fields.get(section.as_str()) {
        Some(list) => parser.steps(list, section, max),
        None => Vec::new(),
    };
    let setup = section(Section::Setup, 100);
    let steps = section(Section::Steps, 500);
    let cleanup = section(Section::Cleanup, 100);
    match fields.get("steps") {
        None if fields.has_strangers() => {}
        None => parser.problem(&node.place, "a scenario needs 'steps'"),
        Some(list) if matches!(&list.value, Value::Seq(items) if items.is_empty()) => {
            parser.problem(
                &list.place,
                "'steps' is empty; a test that does nothing would always pass",
            );
        }
        Some(_) => {}
    }
    again_only_in_the_test(parser, [&setup, &steps, &cleanup]);
    if let [platform] = platforms.as_slice() {
        let all = [&setup, &steps, &cleanup].into_iter().flatten().flat_map(Step::flatten);
        only_what_the_system_has(
            parser,
            *platform,
            all.collect(),
            [fields.get("inputs"), fields.get("variables")],
        );
    }
    let phases = fields.get("phases").map(|n| parser.phases(n, fields.get("steps")));
    let outputs = fields.get("outputs").map(|n| parser.told(n));
    if let (Some(references), Some(name)) = (fields.get("references"), parser.references.unused())
        && parser.problems.is_empty()
    {
        let message = format!("the reference '{name}' is used by no step");
        parser.problem(&references.place, message);
    }
    Some(Parsed {
        name: name?.to_string(),
        description: description.map(String::from),
        platforms,
        setup,
        steps,
        cleanup,
        budget,
        phases: phases.unwrap_or_default(),
        outputs: outputs.unwrap_or_default(),
    })
}

/// A snapshot with `attempts` says where the test goes on; within another step, nobody could go on there.
fn again_only_in_the_test(parser: &mut Parser<'_>, sections: [&Vec<Step>; 3]) {
    let mut told = Vec::new();
    for (outer, step) in sections.into_iter().flatten().flat_map(|step| {
        let diagnostics = step
            .flatten()
            .into_iter()
            .flat_map(|s| &s.on_failure)
            .flat_map(Step::flatten);
        let all = step.flatten().into_iter().chain(diagnostics);
        all.map(move |inner| (step, inner)).collect::<Vec<_>>()
    }) {
        let again = matches!(&step.action, Action::Snapshot(snapshot) if snapshot.attempts > 1);
        let of_the_test = std::ptr::eq(outer, step) && step.section == Section::Steps;
        if again && !of_the_test && !told.contains(&step.place) {
            told.push(step.place.clone());
            parser.problem(
                &step.place,
                "'attempts' of a snapshot counts tries of the steps after it, so it has to be one of 'steps' itself, not \
                 within another step, in setup or in cleanup",
            );
        }
    }
}

/// A scenario that is for one system can ask for what that has. `named` are the objects whose keys become variables of shells.
fn only_what_the_system_has(parser: &mut Parser<'_>, platform: Platform, all: Vec<&Step>, named: [Option<&Node>; 2]) {
    let mut told = Vec::new();
    for step in &all {
        let lacks = super::super::platform::lacks(step, platform);
        // A routine's step is there as often as it is used; and of values, each is told once below.
        if !lacks.is_empty() && parser.scope.values.is_none() && !told.contains(&&step.place) {
            told.push(&step.place);
            let message = format!(
                "a guest with {} (platforms) has not what this step needs; leave it out, or write it otherwise: {}",
                platform.as_str(),
                lacks.join(", ")
            );
            parser.problem(&step.place, message);
        }
    }
    let is_shell = |check: &Check| matches!(check, Check::Shell(_));
    let runs = |step: &&&Step| {
        matches!(step.action, Action::Shell(_)) || step.conditions().flat_map(Check::parts).any(is_shell)
    };
    if all.iter().any(|step| runs(&step)) {
        for entry in named.into_iter().flatten().flat_map(|node| match &node.value {
            Value::Map(entries) => entries.as_slice(),
            _ => &[],
        }) {
            if let Some(why) = super::super::platform::reserved_name(platform, &entry.key) {
                parser.problem(&entry.place, format!("every shell has {why}"));
            }
        }
    }
}

/// Reads a file that has routines and no steps.
pub(in crate::scenario) fn library(parser: &mut Parser<'_>, node: &Node) {
    let Some(fields) = parser.fields(node, "a file of routines", v::LIBRARY) else {
        return;
    };
    if let Some(routines) = fields.get("routines") {
        parser.routines(routines);
    }
}

impl Parser<'_> {
    pub(super) fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match &node.value {
            Value::Seq(items) => Some(items),
            _ => {
                self.problem(&node.place, super::expected(what, "a list", node));
                None
            }
        }
    }

    pub(super) fn read_inputs(&mut self, node: &Node) -> BTreeMap<String, Input> {
        let Value::Map(entries) = &node.value else {
            self.problem(&node.place, super::expected("'inputs'", "an object", node));
            return BTreeMap::new();
        };
        let mut inputs = BTreeMap::new();
        for entry in entries {
            if !is_input_name(&entry.key) {
                self.problem(
                    &entry.place,
                    format!(
                        "input name '{}' must begin with a lower-case letter and have only letters, digits and _: it \
                         becomes the name of an environment variable",
                        entry.key
                    ),
                );
                continue;
            }
            let input = self.input(&entry.key, &entry.value);
            // Also a faulty input is known by its name, or every use of it would be a second error.
            inputs.insert(
                entry.key.clone(),
                input.unwrap_or(Input {
                    kind: InputType::String,
                    default: None,
                    secret: false,
                    description: None,
                }),
            );
        }
        inputs
    }

    fn input(&mut self, name: &str, node: &Node) -> Option<Input> {
        let fields = self.fields(node, &format!("input '{name}'"), v::INPUT)?;
        let kind = match fields.get("type") {
            Some(n) => match self.choice(n, "'type'", v::INPUT_TYPES)? {
                "integer" => InputType::Integer,
                "number" => InputType::Number,
                "boolean" => InputType::Boolean,
                _ => InputType::String,
            },
            None => InputType::String,
        };
        let secret = match fields.get("secret") {
            Some(n) => self.boolean(n, "'secret'")?,
            None => false,
        };
        let description = fields.get("description").and_then(|n| self.literal(n, "'description'"));
        let default = match fields.get("default") {
            Some(n) if secret => {
                self.problem(
                    &n.place,
                    format!("the secret input '{name}' has a default; a secret does not belong in a file"),
                );
                None
            }
            Some(n) => self.default(name, kind, n),
            None => None,
        };
        if secret && kind != InputType::String {
            self.problem(&node.place, format!("the secret input '{name}' must have type string"));
        }
        Some(Input {
            kind,
            default,
            secret,
            description: description.map(String::from),
        })
    }

    pub(super) fn default(&mut self, name: &str, kind: InputType, node: &Node) -> Option<Scalar> {
        let what = format!("the default of '{name}'");
        match (kind, &node.value) {
            (InputType::String, Value::Str(s)) if template::is_template(s) => {
                self.problem(&node.place, format!("{what} cannot be a template"));
                None
            }
            (InputType::String, Value::Str(s)) => Some(Scalar::String(s.clone())),
            (InputType::Integer, Value::Int(i)) => Some(Scalar::Integer(*i)),
            (InputType::Number, Value::Int(i)) => Some(Scalar::Number(*i as f64)),
            (InputType::Number, Value::Float(f)) => Some(Scalar::Number(*f)),
            (InputType::Boolean, Value::Bool(b)) => Some(Scalar::Boolean(*b)),
            _ => {
                let wanted = match kind {
                    InputType::String => "text",
                    InputType::Integer => "an integer",
                    InputType::Number => "a number",
                    InputType::Boolean => "true or false",
                };
                self.problem(&node.place, super::expected(&what, wanted, node));
                None
            }
        }
    }

    fn steps(&mut self, node: &Node, section: Section, max: usize) -> Vec<Step> {
        let Some(items) = self.list(node, &format!("'{}'", section.as_str())) else {
            return Vec::new();
        };
        if items.len() > max {
            self.problem(
                &node.place,
                format!(
                    "'{}' has {} steps; at most {max} are allowed",
                    section.as_str(),
                    items.len()
                ),
            );
            return Vec::new();
        }
        self.scope.prefix = section.letter().to_string();
        let steps = items.iter().enumerate();
        steps.filter_map(|(i, item)| self.step(item, section, i + 1)).collect()
    }
}

/// Names that can be a variable of a template and of a shell, and none that a shell uses itself.
pub(in crate::scenario) fn is_input_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 63
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Ids of steps, and names of routines.
pub(in crate::scenario) fn is_id(text: &str) -> bool {
    let sign = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.len() <= 63 && text.chars().all(sign) && !text.starts_with('-') && !text.ends_with('-')
}

/// Reads a caller's text as a value of the input's type.
pub(in crate::scenario) fn typed(kind: InputType, text: &str) -> Result<Scalar, String> {
    match kind {
        InputType::String => Ok(Scalar::String(text.to_string())),
        InputType::Integer => text
            .parse()
            .map(Scalar::Integer)
            .map_err(|_| format!("'{text}' is not an integer")),
        InputType::Number => match text.parse::<f64>() {
            Ok(n) if n.is_finite() => Ok(Scalar::Number(n)),
            _ => Err(format!("'{text}' is not a number")),
        },
        InputType::Boolean => match text {
            "true" => Ok(Scalar::Boolean(true)),
            "false" => Ok(Scalar::Boolean(false)),
            _ => Err(unknown("boolean", "values", text, &["true", "false"])),
        },
    }
}
