//! Questions: who is asked them, and how often.

use super::*;

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
