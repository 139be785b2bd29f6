//! Models that a server loads when they are first asked for.

use super::super::{Error, Request};
use super::picture::Picture;
use super::spent::Free;
use super::{OpenAi, Sizing, record};
use crate::desktop::Frame;
use image::{Rgba, RgbaImage};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two tries at a server that is still loading.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks both models for a word until they say something. It costs nothing of a budget: nobody can know how often a server
/// that is loading has to be asked.
pub(super) async fn up(vlm: &OpenAi, limit: Duration) -> Result<(), Error> {
    let grey = RgbaImage::from_pixel(64, 64, Rgba([128, 128, 128, 255]));
    let picture = Picture::of(&Frame::from_image(grey), Sizing::AsIs)?;
    let mut models = vec![&vlm.locate_model];
    if vlm.judge_model != vlm.locate_model {
        models.push(&vlm.judge_model);
    }
    let until = Instant::now() + limit;
    for model in models {
        let mut last = "no answer".to_string();
        let asking = async {
            loop {
                match once(vlm, model, &picture).await {
                    Err(error @ (Error::Refused { .. } | Error::Config(_) | Error::CutOff { .. })) => {
                        return Err(error);
                    }
                    Err(error) => last = error.to_string(),
                    Ok(()) => return Ok(()),
                }
                sleep(PAUSE).await;
            }
        };
        if let Ok(ready) = tokio::time::timeout_at(until, asking).await {
            ready?;
            continue;
        }
        return Err(Error::NotReady {
            model: model.clone(),
            after: limit,
            last,
        });
    }
    Ok(())
}

async fn once(vlm: &OpenAi, model: &str, picture: &Picture) -> Result<(), Error> {
    let prompt = "Reply with the single word: ready";
    let start = Instant::now();
    let free = Free::default();
    let completed = vlm.client.complete(model, &picture.png, prompt, None, &free).await;
    vlm.account.note(Request {
        answer: completed.as_ref().map(String::clone).map_err(Error::to_string),
        tokens: free.0.into_inner().unwrap_or_default(),
        ms: start.elapsed().as_millis() as u64,
        ..record("warmUp", model, picture, prompt)
    });
    completed.map(|_| ())
}
