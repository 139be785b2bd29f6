//! A vision language model behind the OpenAI chat completions API (hosted, vLLM, llama.cpp and others).
//!
//! `ask` is the HTTP side: failover, limits, waiting. `answer` reads what comes back, strictly: an answer that could mean
//! two things is an error, not a guess. `judging` asks questions in several wordings, `catalogue` knows the families of
//! models, `picture` sends what they see, `spent` keeps the account, `kept` the answers that need not be asked for again.

pub mod answer;
mod ask;
mod catalogue;
mod judging;
mod kept;
mod money;
mod picture;
mod spent;
mod warm;

pub use catalogue::{FAMILIES, Family, Form, Sizing, family, only_points};
pub use money::{Money, Prices};
pub use spent::{Budget, Limits};

use std::time::{Duration, Instant};

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use self::ask::Client;
use self::kept::{Asked, Came, Kept};
use self::picture::Picture;
use self::spent::Account;
use super::{Error, Hit, Judgement, Located, Request, Target, Verdict, Vision, locate};
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
    /// Model for answering questions; without it `locate_model`, unless that [only points](only_points).
    pub judge_model: Option<String>,
    /// How `locate_model` writes positions; without it as the catalogue knows.
    pub coordinates: Option<Coordinates>,
    /// What the run and its steps may spend.
    pub limits: Limits,
    /// How many answers a question is put to the vote of; 1 where one is enough.
    pub quorum: u32,
    /// How long the models may take to get ready before the run; without it they are not asked to.
    pub warm_up: Option<Duration>,
    /// Sent as a bearer token. Never logged.
    pub api_key: Option<SecretString>,
    /// Most tokens of an answer, with what the model thinks before it.
    pub max_tokens: u32,
    /// Deadline of one request. A call makes at most two requests to each address, once more if the answer was unusable.
    pub timeout: Duration,
}

/// A VLM as a [`Vision`].
pub struct OpenAi {
    client: Client,
    locate_model: String,
    judge_model: String,
    coordinates: Coordinates,
    form: Form,
    quorum: u32,
    warm_up: Option<Duration>,
    timeout: Duration,
    account: Account,
    kept: Kept,
}

/// Version of the prompts: told with each request, and changed with them.
const PROMPTS: u32 = 3;

impl OpenAi {
    /// Checks the settings; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn new(config: OpenAiConfig) -> Result<OpenAi, Error> {
        let judge_model = match &config.judge_model {
            Some(model) => model.clone(),
            None if only_points(&config.locate_model) => return Err(Error::Config(no_judge(&config.locate_model))),
            None => config.locate_model.clone(),
        };
        for (name, model) in [("locate_model", &config.locate_model), ("judge_model", &judge_model)] {
            if model.trim().is_empty() {
                return Err(Error::Config(format!("{name} is empty")));
            }
        }
        let client = Client::new(config.base_urls, config.api_key, config.timeout, config.max_tokens)?;
        let OpenAiConfig {
            locate_model,
            coordinates,
            limits,
            quorum,
            warm_up,
            timeout,
            ..
        } = config;
        if !(1..=judging::MOST_ASKED).contains(&quorum) || quorum % 2 == 0 {
            let most = judging::MOST_ASKED;
            return Err(Error::Config(format!(
                "a quorum of {quorum}: it must be odd, 1 to {most}"
            )));
        }
        let known = family(&locate_model);
        let Some(coordinates) = coordinates.or(known.map(|f| f.coordinates)) else {
            return Err(Error::Config(unknown_model(&locate_model)));
        };
        Ok(OpenAi {
            client,
            coordinates,
            form: known.map_or(Form::Point, |f| f.form),
            quorum,
            warm_up,
            timeout,
            account: Account::new(limits),
            kept: Kept::default(),
            locate_model,
            judge_model,
        })
    }

    /// Asks, and once more if the answer cannot be read. What a question was answered is not asked again of the same
    /// pixels, nor, in the same step, is what had no answer that can be read.
    async fn ask<T>(
        &self,
        purpose: &'static str,
        model: &str,
        picture: &Picture,
        prompt: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Error> {
        let asked = Asked {
            model: model.to_string(),
            prompt: prompt.to_string(),
            picture: picture.digest.clone(),
        };
        let known = |answer: String| Request {
            answer: Ok(answer),
            kept: true,
            ..record(purpose, model, picture, prompt)
        };
        match self.kept.get(&asked) {
            Some(Came::Answer(kept)) => {
                if let Ok(answer) = read(&kept) {
                    self.account.note(known(kept));
                    return Ok(answer);
                }
            }
            Some(Came::Unusable { problem, answer }) => {
                let error = unusable(model, problem, &answer);
                self.account.note(known(answer));
                return Err(error);
            }
            Some(came @ Came::Empty { .. }) if came.stays_empty() => {
                let error = unusable(model, "it has no text, whenever it is asked for".into(), "");
                self.account.note(known(String::new()));
                return Err(error);
            }
            Some(Came::Empty { again, .. }) if Instant::now() < again => {
                let attempts = vec!["asked a moment ago, and not again yet".to_string()];
                let model = model.to_string();
                return Err(Error::Empty { model, attempts });
            }
            Some(Came::Empty { .. }) | None => {}
        }
        let heard = |answer: Result<String, Error>| {
            if matches!(answer, Err(Error::Empty { .. })) {
                self.kept.empty(&asked, Instant::now());
            }
            answer
        };
        let first = heard(self.request(purpose, model, picture, prompt).await)?;
        let problem = match read(&first) {
            Ok(answer) => {
                // Where something is may be looked for again on purpose; what holds on a picture holds on it.
                match purpose {
                    JUDGE => self.kept.put(asked, Came::Answer(first)),
                    _ => self.kept.forget(&asked),
                }
                return Ok(answer);
            }
            Err(problem) => problem,
        };
        tracing::debug!(model, problem, "the answer cannot be read; asking once more");
        let reminder = format!("{prompt}\nAnswer with that single JSON object, all of its members, and nothing else.");
        let second = heard(self.request(purpose, model, picture, &reminder).await)?;
        read(&second).map_err(|problem| {
            let error = unusable(model, problem.clone(), &second);
            let answer = second.clone();
            self.kept.put(asked, Came::Unusable { problem, answer });
            error
        })
    }

    /// One request, within the budget, with its record.
    async fn request(
        &self,
        purpose: &'static str,
        model: &str,
        picture: &Picture,
        prompt: &str,
    ) -> Result<String, Error> {
        let pending = self.account.begin(record(purpose, model, picture, prompt))?;
        let schema = (purpose == JUDGE).then(judging::schema);
        let completed = self
            .client
            .complete(model, &picture.png, prompt, schema, &pending)
            .await;
        pending.end(completed.as_ref().map(String::clone).map_err(Error::to_string));
        completed
    }

    fn sizing(model: &str) -> Sizing {
        family(model).map_or(Sizing::AsIs, |f| f.sizing)
    }

    /// Asks where it is, on this frame.
    async fn look(&self, frame: &Frame, wanted: &str) -> Result<(answer::Place, answer::Size), Error> {
        let picture = Picture::of(frame, OpenAi::sizing(&self.locate_model))?;
        let (sent, size) = (picture.size, (frame.width(), frame.height()));
        let prompt = locate_prompt(wanted, self.form, self.coordinates, sent);
        let read = |text: &str| answer::place(text, self.coordinates, sent, size);
        let place = self.ask(LOCATE, &self.locate_model, &picture, &prompt, read).await?;
        Ok((place, sent))
    }
}

/// Purposes of requests.
const JUDGE: &str = "judge";
const LOCATE: &str = "locate";

/// The record of a request that is not answered yet.
fn record(purpose: &'static str, model: &str, picture: &Picture, prompt: &str) -> Request {
    Request {
        purpose,
        model: model.to_string(),
        prompt_version: PROMPTS,
        prompt: prompt.to_string(),
        picture: picture.digest.clone(),
        width: picture.size.0,
        height: picture.size.1,
        answer: Err("nobody waited for the answer any longer".to_string()),
        tokens: None,
        cost: None,
        kept: false,
        ms: 0,
    }
}

/// What to do about a model that the catalogue does not know.
pub fn unknown_model(model: &str) -> String {
    let known: Vec<&str> = FAMILIES.iter().map(|f| f.name).collect();
    format!(
        "how {model} writes positions is not known; say it with coordinates: Normalised1000, Fraction or Pixels (known without it: {})",
        known.join(", ")
    )
}

/// What to do about a model that is to judge and only points.
pub fn no_judge(model: &str) -> String {
    format!(
        "{model} only points at things: it was not made to answer questions, and says yes to whatever it is asked; \
         name a model that answers them with judgeModel"
    )
}

impl OpenAi {
    /// Whether it is shown: a question, and so the judge's. A locating model points somewhere, whatever is shown.
    async fn shown(&self, frame: &Frame, target: &Target) -> Result<Located, Error> {
        let judgement = self.answer_question(frame, &shown_question(target)).await?;
        let whole = Rect::new(0, 0, frame.width(), frame.height());
        Ok(match judgement.verdict {
            Verdict::True => Located::Found(Hit {
                rect: whole,
                point: whole.center(),
                confidence: 0.5,
                rung: "vlm",
                matched: describe(target),
            }),
            verdict => Located::NotFound {
                reason: judgement.reason,
                sure: verdict == Verdict::False,
            },
        })
    }

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
        if target.presence {
            return self.shown(frame, target).await;
        }
        let wanted = describe(target);
        let hit = |rect: Rect| Hit {
            rect,
            point: rect.center(),
            confidence: 0.5,
            rung: "vlm",
            matched: wanted.clone(),
        };
        let (place, sent) = self.look(frame, &wanted).await?;
        // Which of several it is, and what it stands beside, shows only on the whole screen.
        let anchors = [
            &target.near,
            &target.left_of,
            &target.right_of,
            &target.above,
            &target.below,
        ];
        let alone = target.nth.is_none() && anchors.iter().all(|anchor| anchor.is_none());
        if let answer::Place::At(rect) = &place
            && alone
            && let Some(region) = picture::closer(rect, sent, (frame.width(), frame.height()))
        {
            // What the picture was too coarse for is seen on a part of it, or was no more than a guess.
            let target = Target {
                region: None,
                ..target.clone()
            };
            return Ok(match self.locate_in(frame, &target, region).await? {
                Located::NotFound { reason, .. } => Located::NotFound {
                    reason: format!("it seemed to be there, and a closer look did not find it: {reason}"),
                    sure: false,
                },
                found => found,
            });
        }
        Ok(match place {
            answer::Place::At(rect) => Located::Found(hit(rect)),
            answer::Place::Nowhere(reason) => Located::NotFound { reason, sure: true },
            answer::Place::Several(rects) => Located::Ambiguous {
                hits: rects.into_iter().map(hit).collect(),
            },
        })
    }

    fn settles_absence(&self, _: &Target) -> bool {
        true
    }

    async fn judge(&self, frame: &Frame, question: &str) -> Result<Judgement, Error> {
        self.answer_question(frame, question).await
    }

    async fn warm_up(&self) -> Result<(), Error> {
        let Some(limit) = self.warm_up else { return Ok(()) };
        warm::up(self, limit).await
    }

    fn in_step(&self, step: &str) {
        self.account.in_step(step);
        self.kept.in_step(step);
    }

    fn patience(&self) -> Duration {
        // Who cannot tell is asked twice.
        self.timeout * self.quorum.max(2)
    }

    fn requests(&self) -> Vec<Request> {
        self.account.take()
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

/// Whether the target is shown, as the judge is asked it.
fn shown_question(target: &Target) -> String {
    let exactly = match target.exact {
        true => ", written exactly so and as words of their own",
        false => "",
    };
    format!("{} is shown on the screen{exactly}", describe(target))
}

fn locate_prompt(wanted: &str, form: Form, coordinates: Coordinates, (width, height): answer::Size) -> String {
    let scale = match coordinates {
        Coordinates::Normalised1000 => "Positions run from 0 to 1000 across the picture".to_string(),
        Coordinates::Fraction => "Positions run from 0.0 to 1.0 across the picture".to_string(),
        Coordinates::Pixels => format!("Positions are in pixels; the picture is {width} wide and {height} high"),
    };
    let (what, answer) = match form {
        Form::Point => ("Find the middle of", r#"{"found": true, "x": number, "y": number}"#),
        Form::PointPair => ("Find the middle of", r#"{"found": true, "point_2d": [x, y]}"#),
        Form::Box => (
            "Find the box around",
            r#"{"found": true, "bbox_2d": [left, top, right, bottom]}"#,
        ),
        Form::BoxTopFirst => (
            "Find the box around",
            r#"{"found": true, "box_2d": [top, left, bottom, right]}"#,
        ),
    };
    format!(
        "The picture is a screenshot of a computer's desktop. {what} this element:\n{wanted}\n\
         Reply with one JSON object: {answer}, or {{\"found\": false, \
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
        assert_eq!(shown_question(&t), "the 'Save' button is shown on the screen");
    }
}
