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
