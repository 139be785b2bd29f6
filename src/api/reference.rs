//! Reference images as the API server stores them, inside of a scenario.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a part of the screen looks like: a picture, and what in it counts. `mosdat run` makes these from files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferenceImage {
    /// Picture of a screen, PNG in base64. What lies outside of the areas is not looked at.
    #[schemars(length(min = 1, max = 700_000))]
    pub png: String,
    /// SHA-256 of the files that it was made from (the PNG, then the sidecar), hexadecimal; it is recorded with each run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64))]
    pub digest: Option<String>,
    /// What counts; at least one match or ocr area.
    #[schemars(length(min = 1, max = 100))]
    pub areas: Vec<ReferenceArea>,
    /// Where a click goes, [x, y] in pixels of the picture; else the middle of the last match area.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 2), inner(range(min = 0, max = 65_535)))]
    pub click: Option<Vec<u32>>,
}

/// A rectangle of the picture: exactly one of match, ocr and exclude, each [x, y, width, height] in pixels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferenceArea {
    /// The screen looks like the picture here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 4, max = 4), inner(range(min = 0, max = 65_535)))]
    pub r#match: Option<Vec<u32>>,
    /// The text is shown here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 4, max = 4), inner(range(min = 0, max = 65_535)))]
    pub ocr: Option<Vec<u32>>,
    /// What the screen shows here does not count in the match areas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 4, max = 4), inner(range(min = 0, max = 65_535)))]
    pub exclude: Option<Vec<u32>>,
    /// How far a match area may have moved, in pixels; 50 where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10_000))]
    pub margin: Option<u32>,
    /// How similar a match area must be, from 0.1 to 1; 0.95 where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.1, max = 1.0))]
    pub similarity: Option<f64>,
    /// The text of an ocr area.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub text: Option<String>,
}
