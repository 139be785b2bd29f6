//! The VLM backend against a server that speaks the chat completions API. The server has no canned coordinates: it
//! decodes the picture it is sent and finds the coloured box in it, or fails in the ways real servers do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use image::{Rgba, RgbaImage};
use mosdat::desktop::{Frame, Point};
use mosdat::vision::{
    Budget, Cascade, Coordinates, Error, FAMILIES, Family, Form, Limits, Located, OpenAi, OpenAiConfig, Target,
    Verdict, Vision, parse_target,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use crate::reading::{ocr, screen};

/// How the server behaves towards one request.
#[derive(Clone)]
enum Behaviour {
    /// Answers from the picture, in these coordinates.
    Honest(Coordinates),
    /// Answers from the picture as models of this family do, whatever it is asked for.
    Family(&'static Family),
    /// Answers this text.
    Says(&'static str),
    Status(u16, Option<&'static str>),
    /// Answers what was cut off.
    CutOff,
    /// Repeats the key at the place where the text is cut.
    RepeatsTheKey,
    Hangs,
}

#[derive(Clone)]
struct Model {
    script: Arc<Mutex<VecDeque<Behaviour>>>,
    last: Behaviour,
    seen: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    url: Url,
}

impl Model {
    /// A server that goes through the script and then stays with its last entry.
    async fn start(script: Vec<Behaviour>) -> Model {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/v1/", listener.local_addr().unwrap())).unwrap();
        let last = script.last().unwrap().clone();
        let model = Model {
            script: Arc::new(Mutex::new(script.into())),
            last,
            seen: Default::default(),
            url,
        };
        let app = Router::new()
            .route("/v1/chat/completions", post(answer))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(model.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        model
    }

    fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn answer(State(model): State<Model>, headers: HeaderMap, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    model.seen.lock().unwrap().push((headers, body.clone()));
    let behaviour = model.script.lock().unwrap().pop_front().unwrap_or(model.last.clone());
    let text = match behaviour {
        Behaviour::Honest(coordinates) => look(&body, coordinates, Form::Point),
        Behaviour::Family(family) => look(&body, family.coordinates, family.form),
        Behaviour::Says(text) => text.to_string(),
        Behaviour::Status(code, retry) => {
            let headers: Vec<_> = retry.map(|r| ("retry-after", r)).into_iter().collect();
            let headers: HeaderMap = headers
                .into_iter()
                .map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()))
                .collect();
            return (StatusCode::from_u16(code).unwrap(), headers, "sorry, key tops3cret").into_response();
        }
        Behaviour::CutOff => {
            let body = json!({
                "choices": [{"message": {"role": "assistant", "content": "<think>well"}, "finish_reason": "length"}],
                "usage": {"prompt_tokens": 900, "completion_tokens": body["max_tokens"]},
            });
            return ([("content-type", "application/json")], body.to_string()).into_response();
        }
        Behaviour::RepeatsTheKey => return (StatusCode::UNAUTHORIZED, "x".repeat(195) + "tops3cret").into_response(),
        Behaviour::Hangs => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            String::new()
        }
    };
    let body = json!({
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 100},
    });
    ([("content-type", "application/json")], body.to_string()).into_response()
}

/// Finds the box of the colour that the prompt names in the picture that was sent.
fn look(body: &Value, coordinates: Coordinates, form: Form) -> String {
    let content = &body["messages"][0]["content"];
    let url = content[0]["image_url"]["url"].as_str().unwrap();
    let png = base64::engine::general_purpose::STANDARD.decode(url.strip_prefix("data:image/png;base64,").unwrap());
    let image = image::load_from_memory(&png.unwrap()).unwrap().to_rgba8();
    let prompt = content[1]["text"].as_str().unwrap();
    let wanted = if prompt.contains("red") { RED } else { BLUE };
    let places: Vec<(u32, u32)> = image
        .enumerate_pixels()
        // The picture may have been made smaller.
        .filter(|(.., p)| (0..3).all(|i| p[i].abs_diff(wanted[i]) < 60))
        .map(|(x, y, _)| (x, y))
        .collect();
    let visible = !places.is_empty();
    if prompt.contains("cannot_tell") {
        return json!({"evidence": ["the pixels"], "answer": visible.to_string(), "reason": "looked at the pixels"})
            .to_string();
    }
    if !visible {
        return json!({"found": false, "reason": "no such box"}).to_string();
    }
    let (w, h) = (f64::from(image.width()), f64::from(image.height()));
    let (xs, ys) = (places.iter().map(|p| p.0), places.iter().map(|p| p.1));
    let edges = |v: &mut dyn Iterator<Item = u32>, size: f64| {
        let (from, to) = v.fold((u32::MAX, 0), |(a, b), x| (a.min(x), b.max(x)));
        let write = |x: f64| match coordinates {
            Coordinates::Pixels => x,
            Coordinates::Fraction => x / size,
            Coordinates::Normalised1000 => (x / size * 1000.0).round(),
        };
        (
            write(from.into()),
            write(to.into()),
            write((f64::from(from) + f64::from(to)) / 2.0),
        )
    };
    let ((left, right, x), (top, bottom, y)) = (edges(&mut xs.into_iter(), w), edges(&mut ys.into_iter(), h));
    let place = match form {
        Form::Point => json!({"found": true, "x": x, "y": y}),
        Form::PointPair => json!([{"point_2d": [x, y], "label": "box"}]),
        Form::Box => json!([{"bbox_2d": [left, top, right, bottom], "label": "box"}]),
        Form::BoxTopFirst => json!([{"box_2d": [top, left, bottom, right], "label": "box"}]),
    };
    format!("<think>let me see</think>```json\n{place}\n```")
}

const RED: Rgba<u8> = Rgba([200, 10, 10, 255]);
const BLUE: Rgba<u8> = Rgba([10, 10, 200, 255]);

/// A screen with a red box from (300, 200) to (399, 249).
fn drawn() -> Frame {
    let inside = |x, y| (300..400).contains(&x) && (200..250).contains(&y);
    Frame::from_image(RgbaImage::from_fn(1100, 700, |x, y| {
        if inside(x, y) { RED } else { Rgba([240, 240, 240, 255]) }
    }))
}

fn vision(urls: &[&Model], coordinates: Coordinates) -> OpenAi {
    OpenAi::new(config(urls, coordinates)).unwrap()
}

fn config(urls: &[&Model], coordinates: Coordinates) -> OpenAiConfig {
    OpenAiConfig {
        base_urls: urls.iter().map(|m| m.url.clone()).collect(),
        locate_model: "pointer".into(),
        judge_model: Some("judge".into()),
        coordinates: Some(coordinates),
        limits: Limits::default(),
        quorum: 1,
        warm_up: None,
        api_key: Some(SecretString::from("tops3cret")),
        max_tokens: 4096,
        timeout: Duration::from_secs(1),
    }
}

/// A model of a family, known by its name alone.
fn of_family(model: &Model, name: &str, budget: Budget) -> Result<OpenAi, Error> {
    let limits = Limits {
        run: budget,
        ..Limits::default()
    };
    OpenAi::new(OpenAiConfig {
        base_urls: vec![model.url.clone()],
        locate_model: format!("somebody/{name}-7b"),
        judge_model: Some(name.into()),
        coordinates: None,
        limits,
        quorum: 1,
        warm_up: None,
        api_key: None,
        max_tokens: 4096,
        timeout: Duration::from_secs(20),
    })
}

fn red() -> Target {
    parse_target("the red box")
}

#[tokio::test]
async fn places_and_verdicts_come_from_the_picture() {
    for coordinates in [Coordinates::Normalised1000, Coordinates::Fraction, Coordinates::Pixels] {
        let model = Model::start(vec![Behaviour::Honest(coordinates)]).await;
        let vlm = vision(&[&model], coordinates);
        let Located::Found(hit) = vlm.locate(&drawn(), &red()).await.unwrap() else {
            panic!()
        };
        assert!(
            hit.point.x.abs_diff(349) <= 1 && hit.point.y.abs_diff(224) <= 1,
            "{coordinates:?}: {hit:?}"
        );
        assert_eq!(hit.rung, "vlm");
        let missing = vlm.locate(&drawn(), &parse_target("the blue box")).await.unwrap();
        assert!(matches!(missing, Located::NotFound { reason, .. } if reason == "no such box"));
        assert_eq!(
            vlm.judge(&drawn(), "a red box is visible").await.unwrap().verdict,
            Verdict::True
        );
        assert_eq!(
            vlm.judge(&drawn(), "a blue box is visible").await.unwrap().verdict,
            Verdict::False
        );
        let (headers, body) = model.seen.lock().unwrap()[0].clone();
        assert_eq!(headers["authorization"], "Bearer tops3cret");
        assert_eq!(
            (body["model"].as_str(), body["temperature"].as_i64()),
            (Some("pointer"), Some(0))
        );
    }
}

#[tokio::test]
async fn failover_goes_on_and_stays_with_what_answers() {
    let down = Model::start(vec![Behaviour::Status(503, None)]).await;
    let hangs = Model::start(vec![Behaviour::Hangs]).await;
    let good = Model::start(vec![Behaviour::Honest(Coordinates::Pixels)]).await;
    let vlm = vision(&[&down, &hangs, &good], Coordinates::Pixels);
    assert!(matches!(vlm.locate(&drawn(), &red()).await.unwrap(), Located::Found(_)));
    assert!(matches!(vlm.locate(&drawn(), &red()).await.unwrap(), Located::Found(_)));
    assert_eq!((down.requests(), hangs.requests(), good.requests()), (1, 1, 2));
}

#[tokio::test]
async fn limits_are_respected_and_outages_are_errors_without_the_key() {
    let busy = Model::start(vec![
        Behaviour::Status(429, Some("1")),
        Behaviour::Honest(Coordinates::Pixels),
    ])
    .await;
    let start = Instant::now();
    let vlm = vision(&[&busy], Coordinates::Pixels);
    assert!(matches!(vlm.locate(&drawn(), &red()).await.unwrap(), Located::Found(_)));
    assert!(start.elapsed() >= Duration::from_secs(1), "Retry-After is waited for");
    assert_eq!(busy.requests(), 2);

    let refused = Model::start(vec![Behaviour::Status(401, None)]).await;
    let error = vision(&[&refused], Coordinates::Pixels)
        .locate(&drawn(), &red())
        .await
        .unwrap_err();
    assert_eq!(refused.requests(), 1, "a wrong key is not tried again");
    assert!(
        matches!(error, Error::Refused { .. })
            && error.to_string().contains("401")
            && !error.to_string().contains("tops3cret"),
        "{error}"
    );

    let down = Model::start(vec![Behaviour::Status(500, None)]).await;
    let error = vision(&[&down], Coordinates::Pixels)
        .judge(&drawn(), "red?")
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { .. }) && down.requests() == 2,
        "{error}"
    );

    let hangs = Model::start(vec![Behaviour::Hangs]).await;
    let start = Instant::now();
    let error = vision(&[&hangs], Coordinates::Pixels)
        .judge(&drawn(), "red?")
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("no answer in time") && start.elapsed() < Duration::from_secs(6),
        "{error}"
    );
}

#[tokio::test]
async fn unusable_answers_are_asked_again_once_and_never_guessed() {
    let vague = Model::start(vec![Behaviour::Says("Yes, it is. Now what?")]).await;
    let error = vision(&[&vague], Coordinates::Pixels)
        .judge(&drawn(), "red?")
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Answer { .. }) && vague.requests() == 2,
        "{error}"
    );
    let better = Model::start(vec![
        Behaviour::Says("hm"),
        Behaviour::Says("{\"answer\":\"cannot_tell\",\"reason\":\"dark\"}"),
    ])
    .await;
    let got = vision(&[&better], Coordinates::Pixels)
        .judge(&drawn(), "red?")
        .await
        .unwrap();
    assert!(
        got.verdict == Verdict::CannotTell && got.reason.contains("dark"),
        "{got:?}"
    );
    assert_eq!(better.requests(), 3, "doubt is asked about in other words");
    // A pixel position from a model that was declared to use 0 to 1000.
    let outside = Model::start(vec![Behaviour::Says("{\"found\":true,\"x\":1050,\"y\":10}")]).await;
    let error = vision(&[&outside], Coordinates::Normalised1000)
        .locate(&drawn(), &red())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("outside 0 to 1000"), "{error}");
}

#[tokio::test]
async fn the_cascade_asks_the_model_only_for_what_ocr_cannot_decide() {
    let model = Model::start(vec![
        Behaviour::Says("{\"evidence\":[\"its letters\"],\"answer\":\"true\",\"reason\":\"it is grey\"}"),
        Behaviour::Says("{\"found\":true,\"x\":66,\"y\":217}"),
        Behaviour::Status(500, None),
    ])
    .await;
    let cascade = Cascade(vec![Arc::new(ocr()), Arc::new(vision(&[&model], Coordinates::Pixels))]);
    let frame = screen("form-and-terminal");
    let Located::Found(hit) = cascade
        .locate(&frame, &parse_target("the 'Apply' button"))
        .await
        .unwrap()
    else {
        panic!()
    };
    assert_eq!((hit.rung, model.requests()), ("ocr", 0));
    assert_eq!(
        cascade.judge(&frame, "'Settings saved' is shown").await.unwrap().rung,
        "ocr"
    );
    let grey = cascade
        .judge(&frame, "the 'Delete account' button is disabled")
        .await
        .unwrap();
    assert_eq!((grey.verdict, grey.rung, model.requests()), (Verdict::True, "vlm", 1));
    let Located::Found(hit) = cascade.locate(&frame, &parse_target("the unticked box")).await.unwrap() else {
        panic!()
    };
    assert_eq!((hit.rung, hit.point), ("vlm", Point::new(66, 217)));
    assert!(
        cascade.judge(&frame, "the window is blue").await.is_err(),
        "an outage is no verdict"
    );
}

/// Each family answers in its own way on pictures in its own size, and the place is right all the same: on a screen that is
/// sent as it is, and on one of four times the pixels, where a small thing is looked at twice.
#[tokio::test(flavor = "multi_thread")]
async fn every_family_of_the_catalogue_finds_the_place() {
    // A box of 24 x 16 on a large screen: some six pixels on the picture that most models see.
    let inside = |x, y| (3000..3024).contains(&x) && (1500..1516).contains(&y);
    let large = Frame::from_image(RgbaImage::from_fn(3840, 2160, |x, y| {
        if inside(x, y) { RED } else { Rgba([240, 240, 240, 255]) }
    }));
    for family in FAMILIES {
        let model = Model::start(vec![Behaviour::Family(family)]).await;
        let vlm = of_family(&model, family.prefixes[0], Budget::default()).unwrap();
        for (frame, (x, y), within) in [(&drawn(), (349, 224), 2), (&large, (3012, 1508), 4)] {
            let Located::Found(hit) = vlm.locate(frame, &red()).await.unwrap() else {
                panic!("{}", family.name)
            };
            assert!(
                hit.point.x.abs_diff(x) <= within && hit.point.y.abs_diff(y) <= within,
                "{}: {hit:?}, not {x},{y}",
                family.name
            );
        }
        let asked = vlm.requests();
        let size = family.sizing.of(3840, 2160);
        assert_eq!((asked[1].width, asked[1].height), size, "{}", family.name);
        let twice = size.0 < 3000;
        assert_eq!(asked.len(), if twice { 3 } else { 2 }, "{}", family.name);
    }
    let model = Model::start(vec![Behaviour::Says("")]).await;
    let error = of_family(&model, "nobody-knows-me", Budget::default())
        .err()
        .expect("refused");
    assert!(
        error.to_string().contains("Normalised1000, Fraction or Pixels"),
        "{error}"
    );
}

#[tokio::test]
async fn what_a_closer_look_does_not_find_was_a_guess() {
    let model = Model::start(vec![
        Behaviour::Says("{\"found\": true, \"x\": 10, \"y\": 10}"),
        Behaviour::Says("{\"found\": false, \"reason\": \"only grey\"}"),
    ])
    .await;
    let vlm = of_family(&model, "claude", Budget::default()).unwrap();
    let large = Frame::from_image(RgbaImage::from_pixel(3840, 2160, Rgba([240, 240, 240, 255])));
    let Located::NotFound { reason, sure } = vlm.locate(&large, &red()).await.unwrap() else {
        panic!()
    };
    assert!(!sure && reason.contains("only grey"), "{reason}");
}

#[tokio::test]
async fn every_request_is_told_and_the_budget_is_kept() {
    let model = Model::start(vec![Behaviour::Honest(Coordinates::Pixels)]).await;
    let with = |budget| of_family(&model, "claude", budget).unwrap();
    let spend = async |budget, rounds: u32| {
        let vlm = with(budget);
        for _ in 0..rounds {
            vlm.locate(&drawn(), &red()).await.unwrap();
        }
        (
            vlm.locate(&drawn(), &red()).await.unwrap_err().to_string(),
            vlm.requests(),
        )
    };
    let calls = Budget {
        calls: Some(2),
        ..Budget::default()
    };
    let (error, requests) = spend(calls, 2).await;
    assert!(error.contains("2 of 2 requests"), "{error}");
    assert_eq!(requests.len(), 2);
    let told = &requests[0];
    assert_eq!((told.purpose, told.tokens), ("locate", Some((900, 100))));
    assert_eq!((told.width, told.height, told.picture.len()), (1100, 700, 64));
    assert!(told.prompt.contains("the red box") && told.answer.as_ref().unwrap().contains("found"));
    let tokens = Budget {
        tokens: Some(2500),
        ..Budget::default()
    };
    let (error, _) = spend(tokens, 3).await;
    assert!(error.contains("3000 of 2500 tokens"), "{error}");
}

#[tokio::test]
async fn what_was_cut_off_is_paid_for_told_and_not_asked_again() {
    let model = Model::start(vec![Behaviour::CutOff]).await;
    let vlm = OpenAi::new(OpenAiConfig {
        max_tokens: 700,
        ..config(&[&model], Coordinates::Pixels)
    })
    .unwrap();
    let error = vlm.judge(&drawn(), "is it red?").await.unwrap_err();
    assert!(matches!(error, Error::CutOff { most: 700, .. }), "{error}");
    assert!(error.to_string().contains("spec.openai.maxTokens"), "{error}");
    let told = vlm.requests();
    assert_eq!((model.requests(), told.len()), (1, 1));
    assert_eq!(told[0].tokens, Some((900, 700)));
}

/// What counts is what was sent, not what was asked.
#[tokio::test]
async fn every_request_that_is_sent_counts() {
    let model = Model::start(vec![Behaviour::Status(503, None)]).await;
    let budget = Budget {
        calls: Some(3),
        ..Budget::default()
    };
    let vlm = of_family(&model, "claude", budget).unwrap();
    let ask = async || vlm.locate(&drawn(), &red()).await.unwrap_err();
    let error = ask().await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let error = ask().await;
    assert!(matches!(error, Error::Budget { .. }), "{error}");
    assert!(error.to_string().contains("3 of 3 requests"), "{error}");
    assert_eq!(model.requests(), 3);
}

#[tokio::test]
async fn half_a_key_is_told_by_nobody() {
    let model = Model::start(vec![Behaviour::RepeatsTheKey]).await;
    let error = vision(&[&model], Coordinates::Pixels)
        .judge(&drawn(), "red?")
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("xx***") && !error.to_string().contains("tops"),
        "{error}"
    );
}

const YES: &str = r#"{"evidence":["a red box"],"answer":"true","reason":"it is red"}"#;
const NO: &str = r#"{"evidence":["grey"],"answer":"false","reason":"it is grey"}"#;
const DOUBT: &str = r#"{"evidence":[],"answer":"cannot_tell","reason":"it is dark"}"#;

/// The prompts that the model was asked with.
fn prompts(model: &Model) -> Vec<String> {
    let seen = model.seen.lock().unwrap();
    let prompt =
        |(_, body): &(HeaderMap, Value)| body["messages"][0]["content"][1]["text"].as_str().unwrap().to_string();
    seen.iter().map(prompt).collect()
}

/// A model that locates always points somewhere; whether something is shown is a question, and so the judge's.
#[tokio::test]
async fn whether_it_is_shown_is_asked_of_the_judge() {
    let uploaded = Target {
        text: Some("Uploaded".into()),
        presence: true,
        ..Target::default()
    };
    for (says, want) in [(YES, "found"), (NO, "absent"), (DOUBT, "cannot tell")] {
        let model = Model::start(vec![Behaviour::Says(says)]).await;
        let vlm = vision(&[&model], Coordinates::Pixels);
        let answer = match vlm.locate(&drawn(), &uploaded).await.unwrap() {
            Located::Found(hit) if hit.is_certain() => "found",
            Located::NotFound { sure: true, .. } => "absent",
            Located::NotFound { sure: false, .. } => "cannot tell",
            other => panic!("{other:?}"),
        };
        assert_eq!(answer, want);
        let (_, body) = model.seen.lock().unwrap()[0].clone();
        assert_eq!(body["model"], "judge");
        assert!(prompts(&model)[0].contains("the text 'Uploaded' is shown on the screen"));
    }
    // What text recognition surely does not read needs no model: this one would point at it.
    let points = Model::start(vec![Behaviour::Says(r#"{"found": true, "x": 350, "y": 220}"#)]).await;
    let both = Cascade(vec![Arc::new(ocr()), Arc::new(vision(&[&points], Coordinates::Pixels))]);
    let answer = both.locate(&screen("form-and-terminal"), &uploaded).await.unwrap();
    assert!(matches!(answer, Located::NotFound { sure: true, .. }), "{answer:?}");
    assert_eq!(points.requests(), 0);
}

#[tokio::test]
async fn a_model_that_only_points_is_no_judge() {
    let model = Model::start(vec![Behaviour::Says(YES)]).await;
    let with = |judge: Option<&str>| {
        OpenAi::new(OpenAiConfig {
            locate_model: "holo2-4b".into(),
            judge_model: judge.map(String::from),
            ..config(&[&model], Coordinates::Normalised1000)
        })
    };
    let Err(Error::Config(why)) = with(None) else {
        panic!("no judge")
    };
    assert!(
        why.contains("holo2-4b only points") && why.contains("judgeModel"),
        "{why}"
    );
    assert!(with(Some("qwen3-vl-8b")).is_ok());
}

#[tokio::test]
async fn questions_are_put_to_the_vote_in_other_words() {
    for (says, quorum, asked, want) in [
        (vec![DOUBT, YES], 1, 2, Verdict::True),
        (vec![YES, YES, NO], 3, 2, Verdict::True),
        (vec![YES, NO, NO], 3, 3, Verdict::False),
        (vec![YES, NO, DOUBT], 3, 3, Verdict::CannotTell),
    ] {
        let model = Model::start(says.iter().map(|s| Behaviour::Says(s)).collect()).await;
        let vlm = OpenAi::new(OpenAiConfig {
            quorum,
            ..config(&[&model], Coordinates::Pixels)
        })
        .unwrap();
        let judgement = vlm.judge(&drawn(), "is it red?").await.unwrap();
        assert_eq!(
            (judgement.verdict, model.requests()),
            (want, asked),
            "{says:?}: {judgement:?}"
        );
        let mut different = prompts(&model);
        different.dedup();
        assert_eq!(different.len(), asked, "each in other words");
        match want {
            Verdict::CannotTell => assert!(judgement.reason.contains("it is dark"), "{judgement:?}"),
            _ => assert_eq!(judgement.named.len(), 1),
        }
    }
    for quorum in [0, 2, 7] {
        let model = Model::start(vec![Behaviour::Says(YES)]).await;
        let config = OpenAiConfig {
            quorum,
            ..config(&[&model], Coordinates::Pixels)
        };
        assert!(OpenAi::new(config).is_err(), "{quorum}");
    }
}

#[tokio::test]
async fn the_same_is_not_asked_again_of_the_same_pixels() {
    let model = Model::start(vec![Behaviour::Says(YES), Behaviour::Says(NO)]).await;
    let vlm = vision(&[&model], Coordinates::Pixels);
    for _ in 0..3 {
        assert_eq!(vlm.judge(&drawn(), "is it red?").await.unwrap().verdict, Verdict::True);
    }
    assert_eq!(model.requests(), 1);
    let told: Vec<bool> = vlm.requests().iter().map(|r| r.kept).collect();
    assert_eq!(told, [false, true, true]);
    // Other words, and one other pixel, are another question.
    assert_eq!(
        vlm.judge(&drawn(), "is it green?").await.unwrap().verdict,
        Verdict::False
    );
    let mut other = drawn().image().clone();
    other.put_pixel(0, 0, Rgba([239, 240, 240, 255]));
    let other = vlm.judge(&Frame::from_image(other), "is it red?").await.unwrap();
    assert_eq!((other.verdict, model.requests()), (Verdict::False, 3));
}

#[tokio::test]
async fn a_server_that_takes_no_schema_is_asked_without() {
    let model = Model::start(vec![
        Behaviour::Status(400, None),
        Behaviour::Says(YES),
        Behaviour::Says(NO),
    ])
    .await;
    let vlm = vision(&[&model], Coordinates::Pixels);
    assert_eq!(vlm.judge(&drawn(), "red?").await.unwrap().verdict, Verdict::True);
    assert_eq!(vlm.judge(&drawn(), "green?").await.unwrap().verdict, Verdict::False);
    let with_schema: Vec<bool> = {
        let seen = model.seen.lock().unwrap();
        seen.iter()
            .map(|(_, body)| body["response_format"]["type"] == "json_schema")
            .collect()
    };
    assert_eq!(with_schema, [true, false, false]);
}

#[tokio::test]
async fn a_model_gets_ready_before_the_run_or_says_why_not() {
    let loading = Model::start(vec![
        Behaviour::Status(503, None),
        Behaviour::Status(503, None),
        Behaviour::Says("ready"),
    ])
    .await;
    let with = |model: &Model, limit| {
        OpenAi::new(OpenAiConfig {
            warm_up: Some(Duration::from_secs(limit)),
            limits: Limits {
                run: Budget {
                    calls: Some(2),
                    ..Budget::default()
                },
                ..Limits::default()
            },
            ..config(&[model], Coordinates::Pixels)
        })
        .unwrap()
    };
    let vlm = with(&loading, 60);
    vlm.warm_up().await.unwrap();
    // Two tries of the first address, then both models; and the budget is untouched.
    assert_eq!(loading.requests(), 4);
    assert!(vlm.requests().iter().all(|r| r.purpose == "warmUp"));
    assert!(
        vlm.judge(&drawn(), "red?")
            .await
            .unwrap_err()
            .to_string()
            .contains("unusable"),
        "it was asked"
    );
    let down = Model::start(vec![Behaviour::Status(503, None)]).await;
    let error = with(&down, 2).warm_up().await.unwrap_err().to_string();
    assert!(
        error.contains("not ready after 2 s") && error.contains("503"),
        "{error}"
    );
}
