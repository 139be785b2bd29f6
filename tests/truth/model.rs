//! A model that looks: it reads the picture that it is sent, and answers from what is drawn there, in the numbers that
//! it is asked in; or has one of the troubles that real models have.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use mosdat::desktop::{Frame, Rect};
use mosdat::vision::{Line, Ocr, models};
use serde_json::{Value, json};
use std::time::Duration;

/// What the model is like, as a part of its URL, with what its numbers mean and whether text recognition comes before it.
pub const MODELS: &[(&str, &str, bool)] = &[
    ("honest-normalised1000", "Normalised1000", false),
    ("honest-fraction", "Fraction", false),
    ("honest-pixels", "Pixels", false),
    ("beside", "Pixels", false),
    ("agrees-after-ocr", "Pixels", true),
    ("garbage", "Pixels", false),
    ("empty", "Pixels", false),
    ("too-many", "Pixels", false),
    ("yes-and-no", "Pixels", false),
    ("late", "Pixels", false),
    ("cannot-tell", "Pixels", false),
];

/// Seconds that the model has for an answer.
pub const PATIENCE: u64 = 3;

/// Starts the server; the answer is the URL before the model's name.
pub async fn serve() -> String {
    let ocr = Ocr::load(&models::default_dir()).unwrap_or_else(|e| panic!("{e}"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let app = Router::new()
        .route("/{model}/chat/completions", post(answer))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(ocr);
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn answer(State(ocr): State<Ocr>, Path(model): Path<String>, body: String) -> Response {
    let text = match model.as_str() {
        "garbage" => "I can see a lovely desktop with a window on it, dear.".to_string(),
        "empty" => String::new(),
        "too-many" => return (StatusCode::TOO_MANY_REQUESTS, "slow down").into_response(),
        "yes-and-no" => r#"{"evidence": ["it"], "answer": "true", "answer": "false", "reason": "both"}"#.to_string(),
        "cannot-tell" => r#"{"answer": "cannot_tell", "reason": "it is too small"}"#.to_string(),
        "agrees-after-ocr" => r#"{"evidence": ["all of it"], "answer": "true", "reason": "of course"}"#.to_string(),
        "late" => {
            tokio::time::sleep(Duration::from_secs(PATIENCE * 3)).await;
            r#"{"evidence": ["it"], "answer": "true", "reason": "at last"}"#.to_string()
        }
        honest => {
            let (body, honest) = (body.clone(), honest.to_string());
            let looked = tokio::task::spawn_blocking(move || look(&ocr, &body, &honest)).await;
            looked.expect("looking")
        }
    };
    let body = json!({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]});
    ([("content-type", "application/json")], body.to_string()).into_response()
}

fn look(ocr: &Ocr, body: &str, model: &str) -> String {
    let body: Value = serde_json::from_str(body).expect("JSON");
    let content = &body["messages"][0]["content"];
    let url = content[0]["image_url"]["url"].as_str().expect("picture");
    let png = base64::engine::general_purpose::STANDARD
        .decode(url.strip_prefix("data:image/png;base64,").expect("a data URL"))
        .expect("base64");
    let frame = Frame::from_image(image::load_from_memory(&png).expect("a picture").to_rgba8());
    let prompt = content[1]["text"].as_str().expect("prompt");
    let lines = ocr.read(&frame, None).expect("read");
    // Both prompts have what they ask about on their second line.
    let asked = prompt.lines().nth(1).expect("a question");
    if prompt.contains("cannot_tell") {
        let quoted: Vec<&str> = asked.split('\'').skip(1).step_by(2).collect();
        let seen = |text: &&str| lines.iter().any(|line| line.text.contains(*text));
        let answer = match quoted.is_empty() {
            true => "cannot_tell",
            false if quoted.iter().all(seen) => "true",
            false => "false",
        };
        return json!({"evidence": ["what is written there"], "answer": answer, "reason": "read from the picture"})
            .to_string();
    }
    let Some(area) = meant(asked, &lines) else {
        return json!({"found": false, "reason": "nothing on the screen bears such words"}).to_string();
    };
    let (width, height) = (f64::from(frame.width()), f64::from(frame.height()));
    let middle = area.center();
    let (x, y) = (f64::from(middle.x), f64::from(middle.y));
    match model {
        "honest-normalised1000" => json!({"found": true, "x": x / width * 1000.0, "y": y / height * 1000.0}),
        "honest-fraction" => json!({"found": true, "x": x / width, "y": y / height}),
        // The opposite corner: nothing is there.
        "beside" => json!({"found": true, "x": width - 4.0, "y": height - 4.0}),
        _ => json!({"found": true, "x": x, "y": y}),
    }
    .to_string()
}

/// The line on the screen that the request names, word for word; the longest, if several.
fn meant(asked: &str, lines: &[Line]) -> Option<Rect> {
    let words = |text: &str| -> Vec<String> {
        let word = |w: &str| w.trim_matches(|c: char| !c.is_alphanumeric()).to_string();
        text.split_whitespace().map(word).filter(|w| !w.is_empty()).collect()
    };
    let asked = words(asked);
    let named = |line: &&Line| {
        let line = words(&line.text);
        !line.is_empty() && asked.windows(line.len()).any(|part| part == line)
    };
    lines
        .iter()
        .filter(named)
        .max_by_key(|line| line.text.len())
        .map(|line| line.rect)
}
