//! What a word of the language takes.

/// What a member takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Takes {
    /// Text, templates included.
    Text,
    /// Text that is the same in every run.
    Literal,
    /// true or false.
    Bool,
    /// A whole number within these bounds.
    Int(i64, i64),
    /// `500ms`, `10s`, `1m30s`.
    Time,
    /// One of these words.
    One(&'static [&'static str]),
    /// Words of such a list.
    Some(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A text or a list of texts.
    TextOrTexts,
    /// A chord, or a list of them.
    Chords,
    /// An object of texts.
    TextMap,
    /// An object of values: texts, numbers, booleans.
    ValueMap,
    /// An object of values or lists of values.
    Facts,
    /// `[x, y]`.
    Place,
    /// `[x, y, width, height]`, or a text.
    Within,
    /// `[x, y, width, height]`, or true.
    Mask,
    /// A name, or an object of names and texts.
    Capture,
    /// Outputs of a routine.
    Outputs,
    /// Something on the screen.
    Target,
    /// A condition.
    Check,
    /// A list of conditions.
    Checks,
    /// A list of steps.
    Steps,
    /// Declared inputs.
    Inputs,
    /// Phases.
    Phases,
    /// Declared routines.
    Routines,
    /// Reference images, which programs write.
    References,
    /// A scalar: a default.
    Scalar,
    /// Text or `contains`, `equals`, `matches`.
    Fits,
    /// A role of the accessibility tree.
    Role,
    /// A state or its opposite, or a list of such.
    States,
    /// An element of the accessibility tree.
    Node,
}

/// A member of an object.
pub(super) struct Member {
    pub key: &'static str,
    pub takes: Takes,
    pub required: bool,
    pub says: &'static str,
}

pub(super) const fn member(key: &'static str, takes: Takes, says: &'static str) -> Member {
    let required = false;
    Member {
        key,
        takes,
        required,
        says,
    }
}

pub(super) const fn must(key: &'static str, takes: Takes, says: &'static str) -> Member {
    let required = true;
    Member {
        key,
        takes,
        required,
        says,
    }
}

/// An action: its short form, and the members of its long one.
pub(super) struct Action {
    pub name: &'static str,
    pub short: Option<Takes>,
    pub members: &'static [Member],
    pub says: &'static str,
}
