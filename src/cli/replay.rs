//! `mosdat replay TRACE --step ID`: asks a vision backend again about a picture of a run. No VM is needed.

use super::exit;
use super::provider::ProviderArgs;
use crate::desktop::Frame;
use crate::executor::Local;
use crate::results::{self, Answered, Body, Event, Looked, Place, Question, Trace, visible};
use crate::scenario::unknown;
use crate::vision::{self, Located, Verdict, Vision};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Characters of a model's answer that are printed.
const TOLD: usize = 500;

#[derive(clap::Args)]
pub struct Args {
    /// A run's `report.html`, its `events.jsonl`, or the folder of an attempt.
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// The step; without it, the steps that asked something are printed.
    #[arg(long, value_name = "ID")]
    step: Option<String>,
    /// Ask this instead of what the step asked.
    #[arg(long, value_name = "QUESTION", requires = "step")]
    ask: Option<String>,
    #[command(flatten)]
    provider: ProviderArgs,
}

fn invalid(message: impl std::fmt::Display) -> u8 {
    eprintln!("{}", super::plain(&message.to_string()));
    exit::INVALID
}

/// Exit codes: passed where the answers agree (with `--ask`: the answer is yes), failed where they do not, infrastructure
/// where nobody can tell or the backend failed.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let trace = match Trace::open(&args.trace) {
        Ok(trace) => trace,
        Err(e) => return Ok(invalid(e)),
    };
    let steps = results::asked(&trace.events);
    let Some(step) = &args.step else {
        match steps.is_empty() {
            true => eprintln!("no step of this run asked anything about a picture"),
            false => steps.iter().for_each(|step| list(&trace, step)),
        }
        return Ok(exit::PASSED);
    };
    let Some(looked) = results::looked(&trace.events, step) else {
        return Ok(invalid(format!("--step: {}", no_picture(&trace, step, &steps))));
    };
    let picture = match trace.picture(&looked.file) {
        Ok(picture) => picture,
        Err(e) => return Ok(invalid(e)),
    };
    let settings = match args.provider.settings().await {
        Ok(settings) => settings,
        Err(e) => return Ok(invalid(super::told(&e))),
    };
    let size = looked.size;
    if !results::is_screen(size) {
        let (width, height) = size;
        return Ok(invalid(format!(
            "{}: no screen has {width} x {height} pixels",
            looked.file
        )));
    }
    let image = match picture.image.dimensions() == size {
        true => picture.image,
        // Smaller in the page: places are told in pixels of the screen.
        false => image::imageops::resize(&picture.image, size.0, size.1, image::imageops::FilterType::CatmullRom),
    };
    println!("{step}: {}", about(&looked, picture.exact));
    let local = Local::new(vision::models::default_dir());
    let backend = match local.vision(settings.as_ref()).await {
        Ok(backend) => backend,
        Err(why) => {
            eprintln!("{}: {}", why.reason, why.message);
            return Ok(exit::INFRASTRUCTURE);
        }
    };
    let frame = Frame::from_image(image);
    Ok(match &args.ask {
        Some(question) => ask(&backend, &frame, question).await,
        None => again(&backend, &frame, &looked, settings.is_some()).await,
    })
}

/// Why nothing can be asked again of a step: the run has none of this id, or it kept no picture.
fn no_picture(trace: &Trace, step: &str, asked: &[String]) -> String {
    let is_it = |event: &Event| matches!(&event.body, Body::StepEnd { step: id, .. } if id == step);
    let others: Vec<&str> = asked.iter().map(String::as_str).filter(|id| *id != step).collect();
    match (trace.events.iter().any(is_it), asked.is_empty()) {
        (true, _) if others.is_empty() => {
            format!("'{step}' kept no picture, and no other step of this run asked anything about one")
        }
        (true, _) => format!(
            "'{step}' kept no picture; steps that asked something about one: {}",
            others.join(", ")
        ),
        (false, true) => format!("this run has no step '{step}', and none of its steps asked anything about a picture"),
        (false, false) => {
            let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
            unknown("step", "steps that asked something about a picture", step, &asked)
        }
    }
}

fn list(trace: &Trace, step: &str) {
    match results::looked(&trace.events, step) {
        Some(looked) => {
            println!("{step}: {}", looked.file);
            looked
                .answers
                .iter()
                .for_each(|a| println!("  {}: {}", visible(&a.words), visible(&a.verdict)));
        }
        None => println!("{step}: its picture was not kept"),
    }
}

fn about(looked: &Looked, exact: bool) -> String {
    let (width, height) = looked.size;
    let which = match (looked.same || looked.answers.is_empty(), looked.covered) {
        (true, _) => "",
        (false, true) => ", of which masks cover a part that was looked at",
        (false, false) => ", the one nearest to what was looked at",
    };
    let quality = match exact {
        true => "",
        false => ", in less quality than it was looked at; the attempt's folder has every pixel",
    };
    format!("{} ({width} x {height}{which}{quality})", looked.file)
}

/// An answer of now, in the words of the record.
struct Now {
    verdict: &'static str,
    place: Option<Place>,
    reason: String,
    rung: Option<&'static str>,
}

impl Now {
    fn told(&self, ms: u128) -> String {
        format!("{}, {ms} ms", told(self.verdict, self.place, self.rung, &self.reason))
    }
}

fn told(verdict: &str, place: Option<Place>, rung: Option<&str>, reason: &str) -> String {
    let word = match verdict {
        "notFound" => "not found",
        "cannotTell" => "cannot tell",
        "ambiguous" => "several places fit",
        word => word,
    };
    let place = place.map_or(String::new(), |p| {
        format!(" at {},{} ({}x{})", p.x, p.y, p.width, p.height)
    });
    let rung = rung.map_or(String::new(), |rung| format!(" by {rung}"));
    visible(&format!("{word}{place}{rung}: {reason}"))
}

fn judged(judgement: vision::Judgement) -> Now {
    Now {
        verdict: match judgement.verdict {
            Verdict::True => "true",
            Verdict::False => "false",
            Verdict::CannotTell => "cannotTell",
        },
        place: None,
        reason: judgement.reason,
        rung: Some(judgement.rung),
    }
}

fn located(located: Located) -> Now {
    let (verdict, place, reason, rung) = match located {
        Located::Found(hit) => {
            let place = Place {
                x: hit.rect.x,
                y: hit.rect.y,
                width: hit.rect.width,
                height: hit.rect.height,
            };
            (
                "found",
                Some(place),
                format!("matched '{}'", hit.matched),
                Some(hit.rung),
            )
        }
        Located::NotFound { reason, .. } => ("notFound", None, reason, None),
        Located::Ambiguous { hits } => {
            let places: Vec<String> = hits.iter().map(|h| format!("{},{}", h.rect.x, h.rect.y)).collect();
            ("ambiguous", None, places.join(" and "), hits.first().map(|h| h.rung))
        }
    };
    Now {
        verdict,
        place,
        reason,
        rung,
    }
}

/// How an answer of now stands to that of then.
#[derive(Debug, PartialEq, Eq)]
enum Agreement {
    Same,
    Other,
    /// Now nobody can tell: that contradicts nothing.
    Unknown,
}

fn agreement(then: &Answered, verdict: &str, place: Option<Place>) -> Agreement {
    // The numbers may come from anybody.
    let before = |at: u32, from: u32, length: u32| u64::from(at) < u64::from(from) + u64::from(length);
    let overlap = |a: Place, b: Place| {
        before(a.x, b.x, b.width)
            && before(b.x, a.x, a.width)
            && before(a.y, b.y, b.height)
            && before(b.y, a.y, a.height)
    };
    // A text that is only to be shown may be found at any of its places, and at several.
    let anywhere = matches!(&then.question, Question::Locate(t) if t.presence);
    let word = |verdict: &str| match verdict {
        "ambiguous" if anywhere => "found".to_string(),
        verdict => verdict.to_string(),
    };
    if word(&then.verdict) != word(verdict) {
        return match verdict {
            "cannotTell" => Agreement::Unknown,
            _ => Agreement::Other,
        };
    }
    match (then.place, place) {
        (Some(then), Some(now)) if !anywhere && !overlap(then, now) => Agreement::Other,
        _ => Agreement::Same,
    }
}

/// Asks all that was asked. The worst answer decides.
async fn again(backend: &Arc<dyn Vision>, frame: &Frame, looked: &Looked, provided: bool) -> u8 {
    if looked.answers.is_empty() {
        return invalid("this step asked nothing about its pictures; ask something with --ask");
    }
    let (mut agree, mut unknown, mut asked) = (true, false, 0);
    for then in &looked.answers {
        println!("{}", visible(&then.words));
        println!(
            "  then: {}",
            told(&then.verdict, then.place, then.rung.as_deref(), &then.reason)
        );
        let start = Instant::now();
        let answer = match &then.question {
            Question::Unaskable(why) => {
                println!("  now:  not asked: {why}");
                continue;
            }
            Question::Judge(question) => backend.judge(frame, question).await.map(judged),
            Question::Locate(target) => backend.locate(frame, target).await.map(located),
        };
        asked += 1;
        let ms = start.elapsed().as_millis();
        match answer {
            Ok(now) => {
                println!("  now:  {}", now.told(ms));
                models(backend);
                match agreement(then, now.verdict, now.place) {
                    Agreement::Same => println!("  the same answer as then"),
                    Agreement::Other => {
                        agree = false;
                        println!("  another answer than then");
                    }
                    Agreement::Unknown => {
                        unknown = true;
                        println!("  nobody can tell now: neither for nor against the answer of then");
                    }
                }
            }
            Err(e) => {
                models(backend);
                unknown = true;
                println!("  now:  {} failed: {}", backend.name(), visible(&e.to_string()));
            }
        }
        if unknown && !provided && then.rung.as_deref() == Some("vlm") {
            eprintln!("a model answered then; name its VisionProvider with --provider to ask one again");
        }
    }
    match (asked, agree, unknown) {
        (0, ..) => exit::INVALID,
        (_, false, _) => exit::FAILED,
        (_, true, true) => exit::INFRASTRUCTURE,
        (_, true, false) => exit::PASSED,
    }
}

async fn ask(backend: &Arc<dyn Vision>, frame: &Frame, question: &str) -> u8 {
    println!("{question}");
    let start = Instant::now();
    let answer = backend.judge(frame, question).await.map(judged);
    let ms = start.elapsed().as_millis();
    let code = match answer {
        Ok(now) => {
            println!("  now:  {}", now.told(ms));
            match now.verdict {
                "true" => exit::PASSED,
                "false" => exit::FAILED,
                _ => exit::INFRASTRUCTURE,
            }
        }
        Err(e) => {
            println!("  now:  {} failed: {}", backend.name(), visible(&e.to_string()));
            exit::INFRASTRUCTURE
        }
    };
    models(backend);
    code
}

/// What models said in their own words.
fn models(backend: &Arc<dyn Vision>) {
    for request in backend.requests() {
        let said = match &request.answer {
            Ok(text) => format!("said {}", text.trim()),
            Err(why) => format!("gave no answer: {why}"),
        };
        let tokens = request
            .tokens
            .map_or(String::new(), |(a, b)| format!(", {a} + {b} tokens"));
        let said: String = said.chars().take(TOLD).collect();
        println!(
            "        {} ({} ms{tokens}) {}",
            request.model,
            request.ms,
            visible(&said).replace('\n', " ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_agree() {
        let at = |x| {
            Some(Place {
                x,
                y: 0,
                width: 10,
                height: 10,
            })
        };
        let then = |verdict: &str, presence, place| Answered {
            words: String::new(),
            question: Question::Locate(Box::new(vision::Target {
                presence,
                ..vision::Target::default()
            })),
            verdict: verdict.to_string(),
            place,
            reason: String::new(),
            rung: None,
        };
        use Agreement::*;
        assert_eq!(agreement(&then("found", false, at(0)), "found", at(5)), Same);
        assert_eq!(agreement(&then("found", false, at(0)), "found", at(50)), Other);
        assert_eq!(agreement(&then("found", true, at(0)), "found", at(50)), Same);
        assert_eq!(agreement(&then("found", true, at(0)), "notFound", None), Other);
        // What is there twice is shown, and cannot be clicked.
        assert_eq!(agreement(&then("ambiguous", true, at(0)), "found", at(50)), Same);
        assert_eq!(agreement(&then("found", true, at(0)), "ambiguous", None), Same);
        assert_eq!(agreement(&then("found", false, at(0)), "ambiguous", None), Other);
        // A trace from anybody.
        let wide = Some(Place {
            x: u32::MAX,
            y: 0,
            width: u32::MAX,
            height: 1,
        });
        assert_eq!(agreement(&then("found", false, wide), "found", wide), Same);
        assert_eq!(agreement(&then("true", false, None), "cannotTell", None), Unknown);
        assert_eq!(agreement(&then("cannotTell", false, None), "cannotTell", None), Same);
        assert_eq!(agreement(&then("cannotTell", false, None), "true", None), Other);
    }
}
