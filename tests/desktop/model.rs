//! The VLM backend against a server that speaks the chat completions API. The server has no canned coordinates: it
//! decodes the picture it is sent and finds the coloured box in it, or fails in the ways real servers do.

mod answers;
mod judging;
mod spending;
mod trouble;

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
    /// Answers without a text.
    Null,
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
        Behaviour::Null => {
            let body = json!({
                "choices": [{"message": {"role": "assistant", "content": null}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 900, "completion_tokens": 0},
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
