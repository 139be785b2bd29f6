//! What is asked, what it costs, and what is not asked again.

use super::*;

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

/// What cannot be read costs as much as what can: of the same pixels it is asked once and once again, whatever is polled.
#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_asked_for_again_of_the_same_pixels() {
    let model = Model::start(vec![Behaviour::Says("What a lovely desktop!")]).await;
    let vlm = vision(&[&model], Coordinates::Pixels);
    let mut moved = drawn().image().clone();
    moved.put_pixel(0, 0, Rgba([239, 240, 240, 255]));
    let moved = Frame::from_image(moved);
    for (frame, requests) in [(drawn(), 4), (moved, 8)] {
        for _ in 0..3 {
            let judged = vlm.judge(&frame, "is it red?").await.unwrap_err();
            let located = vlm.locate(&frame, &red()).await.unwrap_err();
            for error in [judged, located] {
                assert!(
                    matches!(error, Error::Answer { .. }) && error.to_string().contains("What a lovely desktop!"),
                    "{error}"
                );
            }
        }
        assert_eq!(model.requests(), requests);
        let sent = vlm.requests().iter().filter(|r| !r.kept).count();
        assert_eq!(sent, 4);
    }
}
