//! How answers are read: places, verdicts, families of models, and what cannot be read.

use super::*;

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
