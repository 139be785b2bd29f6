//! Servers that are away, busy, not ready, or refuse.

use super::*;

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

/// A machine that is busy is no fault of the model's.
fn patient(model: &Model) -> OpenAi {
    OpenAi::new(OpenAiConfig {
        timeout: Duration::from_secs(20),
        ..config(&[model], Coordinates::Pixels)
    })
    .unwrap()
}

/// An answer without a text is a fault that may pass; while it does not, it is paid for only so often in a step.
#[tokio::test(flavor = "multi_thread")]
async fn no_text_is_asked_for_again_and_not_for_ever() {
    for empty in [Behaviour::Null, Behaviour::Says(""), Behaviour::Says(" \n")] {
        let once = Model::start(vec![empty.clone(), Behaviour::Says(YES)]).await;
        let vlm = patient(&once);
        assert_eq!(vlm.judge(&drawn(), "is it red?").await.unwrap().verdict, Verdict::True);
        assert_eq!(once.requests(), 2);
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let ask = async |vlm: &OpenAi, wanted: fn(&Result<(), Error>) -> bool| {
        let mut moments = 0;
        loop {
            let answer = vlm.judge(&drawn(), "is it red?").await.map(|_| ());
            if wanted(&answer) {
                return (answer, moments);
            }
            assert!(matches!(&answer, Err(Error::Empty { .. })), "{answer:?}");
            assert!(Instant::now() < deadline, "{answer:?}");
            moments += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // Longer than one asking lasts.
    let later = Model::start(vec![Behaviour::Null, Behaviour::Says(""), Behaviour::Says(YES)]).await;
    let vlm = patient(&later);
    assert!(ask(&vlm, Result::is_ok).await.0.is_ok());
    assert_eq!(later.requests(), 3);

    let never = Model::start(vec![Behaviour::Says("")]).await;
    let vlm = patient(&never);
    vlm.in_step("a");
    let (error, moments) = ask(&vlm, |answer| matches!(answer, Err(Error::Answer { .. }))).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no text, whenever"), "{error}");
    // Four times, each twice, of all the polls.
    assert!(
        never.requests() == 8 && moments > 8,
        "{} of {moments}",
        never.requests()
    );
    assert!(vlm.judge(&drawn(), "is it red?").await.is_err());
    assert_eq!(never.requests(), 8);
    vlm.in_step("b");
    let error = vlm.judge(&drawn(), "is it red?").await.unwrap_err();
    assert!(matches!(error, Error::Empty { .. }), "{error}");
    assert_eq!(never.requests(), 10);
}

/// A step after it may have the answer that one before it had not.
#[tokio::test]
async fn what_cannot_be_read_is_asked_for_again_in_the_next_step() {
    let model = Model::start(vec![Behaviour::Says("hm"), Behaviour::Says("hm"), Behaviour::Says(YES)]).await;
    let vlm = patient(&model);
    vlm.in_step("a");
    for _ in 0..2 {
        let error = vlm.judge(&drawn(), "is it red?").await.unwrap_err();
        assert!(matches!(error, Error::Answer { .. }), "{error}");
        // The same step, after one that it holds.
        vlm.in_step("a");
    }
    assert_eq!(model.requests(), 2);
    vlm.in_step("b");
    assert_eq!(vlm.judge(&drawn(), "is it red?").await.unwrap().verdict, Verdict::True);
}

/// Each cause is told once, without what only says that there is one.
#[tokio::test]
async fn an_address_that_nobody_listens_at_is_told_in_few_words() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/v1", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let vlm = OpenAi::new(OpenAiConfig {
        base_urls: vec![url],
        ..config(&[], Coordinates::Pixels)
    })
    .unwrap();
    let error = vlm.judge(&drawn(), "red?").await.unwrap_err();
    let Error::Unreachable { attempts, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        attempts
            .iter()
            .all(|told| told.ends_with("/v1/chat/completions: Connection refused")),
        "{attempts:?}"
    );
}
