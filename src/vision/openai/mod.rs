//! A vision language model behind the OpenAI chat completions API (hosted, vLLM, llama.cpp and others).
//!
//! `ask` is the HTTP side: failover, limits, waiting. `answer` reads what comes back, strictly: an answer that could mean
//! two things is an error, not a guess.

mod answer;
mod ask;

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use self::ask::Client;
use super::{Error, Hit, Judgement, Located, Target, Vision, locate};
use crate::desktop::{Frame, Rect};

/// How a model writes positions. Declared, never guessed from the numbers: 500 can be a pixel or a half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Coordinates {
    /// 0 to 1000 across each axis.
    Normalised1000,
    /// 0 to 1 across each axis.
    Fraction,
    /// Pixels of the picture.
    Pixels,
}

/// Where the model is and how to speak to it.
#[derive(Debug, Clone)]
pub struct OpenAiConfig {
    /// API roots such as `http://host:8000/v1`, in order of failover.
    pub base_urls: Vec<Url>,
    /// Model for finding places.
    pub locate_model: String,
    /// Model for answering questions.
    pub judge_model: String,
    /// How `locate_model` writes positions.
    pub coordinates: Coordinates,
    /// Sent as a bearer token. Never logged.
    pub api_key: Option<SecretString>,
    /// Deadline of one request. A call makes at most two requests to each address, once more if the answer was unusable.
    pub timeout: Duration,
}

/// A VLM as a [`Vision`].
pub struct OpenAi {
    client: Client,
    locate_model: String,
    judge_model: String,
    coordinates: Coordinates,
}

impl OpenAi {
    /// Checks the settings; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn new(config: OpenAiConfig) -> Result<OpenAi, Error> {
        for (name, model) in [
            ("locate_model", &config.locate_model),
            ("judge_model", &config.judge_model),
        ] {
            if model.trim().is_empty() {
                return Err(Error::Config(format!("{name} is empty")));
            }
        }
        let client = Client::new(config.base_urls, config.api_key, config.timeout)?;
        let OpenAiConfig {
            locate_model,
            judge_model,
            coordinates,
            ..
        } = config;
        Ok(OpenAi {
            client,
            locate_model,
            judge_model,
            coordinates,
        })
    }

    /// Asks, and once more if the answer cannot be read.
    async fn ask<T>(
        &self,
        model: &str,
        frame: &Frame,
        prompt: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Error> {
        let png = frame.png()?;
        let first = self.client.complete(model, &png, prompt).await?;
        let problem = match read(&first) {
            Ok(answer) => return Ok(answer),
            Err(problem) => problem,
        };
        tracing::debug!(model, problem, "the answer cannot be read; asking once more");
        let reminder = format!("{prompt}\nAnswer with that single JSON object and nothing else.");
        let second = self.client.complete(model, &png, &reminder).await?;
        read(&second).map_err(|problem| unusable(model, problem, &second))
    }
}

impl OpenAi {
    /// As `locate`, with a picture of this part alone.
    async fn locate_in(&self, frame: &Frame, target: &Target, region: Rect) -> Result<Located, Error> {
        let screen = Rect::new(0, 0, frame.width(), frame.height());
        let region = region.intersection(&screen).unwrap_or(screen);
        let part = image::imageops::crop_imm(frame.image(), region.x, region.y, region.width, region.height).to_image();
        let target = Target {
            region: None,
            ..target.clone()
        };
        let shift = |mut hit: Hit| {
            (hit.rect.x, hit.rect.y) = (hit.rect.x + region.x, hit.rect.y + region.y);
            (hit.point.x, hit.point.y) = (hit.point.x + region.x, hit.point.y + region.y);
            hit
        };
        Ok(match self.locate(&Frame::from_image(part), &target).await? {
            Located::Found(hit) => Located::Found(shift(hit)),
            Located::Ambiguous { hits } => Located::Ambiguous {
                hits: hits.into_iter().map(shift).collect(),
            },
            missing => missing,
        })
    }
}

fn unusable(model: &str, problem: String, answer: &str) -> Error {
    Error::Answer {
        model: model.into(),
        problem,
        answer: answer.chars().take(200).collect(),
    }
}

#[async_trait]
impl Vision for OpenAi {
    fn name(&self) -> String {
        format!("vlm ({})", self.judge_model)
    }

    async fn locate(&self, frame: &Frame, target: &Target) -> Result<Located, Error> {
        locate::check(target)?;
        if let Some(region) = target.region {
            return self.locate_in(frame, target, region).await;
        }
        let (width, height) = (frame.width(), frame.height());
        let wanted = describe(target);
        let prompt = locate_prompt(&wanted, self.coordinates, width, height);
        let read = |text: &str| answer::place(text, self.coordinates, width, height);
        Ok(match self.ask(&self.locate_model, frame, &prompt, read).await? {
            answer::Place::At(rect) => Located::Found(Hit {
                rect,
                point: rect.center(),
                confidence: 0.5,
                rung: "vlm",
                matched: wanted,
            }),
            answer::Place::Nowhere(reason) => Located::NotFound { reason, sure: true },
            answer::Place::Several(rects) => {
                let hit = |rect: Rect| Hit {
                    rect,
                    point: rect.center(),
                    confidence: 0.5,
                    rung: "vlm",
                    matched: wanted.clone(),
                };
                Located::Ambiguous {
                    hits: rects.into_iter().map(hit).collect(),
                }
            }
        })
    }

    async fn judge(&self, frame: &Frame, question: &str) -> Result<Judgement, Error> {
        let prompt = format!(
            "The picture is a screenshot of a computer's desktop. Decide from the picture alone whether this holds:\n\
             {question}\n\
             Reply with one JSON object: {{\"answer\": \"true\" or \"false\" or \"cannot_tell\", \"reason\": a short \
             sentence}}. Choose cannot_tell if the picture does not settle it."
        );
        let (verdict, reason) = self.ask(&self.judge_model, frame, &prompt, answer::verdict).await?;
        Ok(Judgement {
            verdict,
            reason,
            evidence: vec![],
            rung: "vlm",
        })
    }
}

/// The target in words.
fn describe(target: &Target) -> String {
    let mut words = match (&target.describe, &target.text) {
        (Some(describe), _) => describe.clone(),
        (None, Some(text)) => format!("the text '{text}'"),
        (None, None) => String::new(),
    };
    let relations = [
        ("near", &target.near),
        ("left of", &target.left_of),
        ("right of", &target.right_of),
        ("above", &target.above),
        ("below", &target.below),
    ];
    for (name, anchor) in relations {
        if let Some(anchor) = anchor {
            words.push_str(&format!(", {name} the text '{anchor}'"));
        }
    }
    if let Some(n) = target.nth {
        words.push_str(&format!(" (number {n} of those, from top left to bottom right)"));
    }
    words
}

fn locate_prompt(wanted: &str, coordinates: Coordinates, width: u32, height: u32) -> String {
    let scale = match coordinates {
        Coordinates::Normalised1000 => "x and y run from 0 to 1000 across the picture".to_string(),
        Coordinates::Fraction => "x and y run from 0.0 to 1.0 across the picture".to_string(),
        Coordinates::Pixels => format!("x and y are pixels; the picture is {width} wide and {height} high"),
    };
    format!(
        "The picture is a screenshot of a computer's desktop. Find the middle of this element:\n{wanted}\n\
         Reply with one JSON object: {{\"found\": true, \"x\": number, \"y\": number}}, or {{\"found\": false, \
         \"reason\": a short sentence}} if it is not visible. {scale}, from the top left corner."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_in_words() {
        let t = Target {
            text: Some("Edit".into()),
            right_of: Some("Password".into()),
            nth: Some(2),
            ..Target::default()
        };
        let words = describe(&t);
        assert!(
            words.starts_with("the text 'Edit', right of the text 'Password' (number 2"),
            "{words}"
        );
        let t = Target {
            describe: Some("the 'Save' button".into()),
            text: Some("Save".into()),
            ..Target::default()
        };
        assert_eq!(describe(&t), "the 'Save' button");
    }
}
