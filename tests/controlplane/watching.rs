//! Watches: from a version, with selectors, bookmarks, initial events; and what is too old.

use crate::support::{Plane, WIDGETS, plane, reopen, widget};
use futures::{StreamExt, TryStreamExt};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncBufReadExt as _;

/// The events of a watch as (type, name), until it ends or `most` have come.
async fn events(p: &Plane, query: &str, most: usize) -> Vec<(String, Value)> {
    let request = http::Request::get(format!("{WIDGETS}?watch=true&timeoutSeconds=5&{query}"));
    let response = p.client.send(request.body(vec![].into()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let stream = response.into_body().into_data_stream().map_err(std::io::Error::other);
    let lines = tokio::io::BufReader::new(tokio_util::io::StreamReader::new(stream)).lines();
    let lines = tokio_stream(lines).take(most).map(|line| {
        let v: Value = serde_json::from_str(&line).unwrap();
        (v["type"].as_str().unwrap().to_string(), v["object"].clone())
    });
    tokio::time::timeout(Duration::from_secs(10), lines.collect())
        .await
        .unwrap()
}

fn tokio_stream<R: tokio::io::AsyncBufRead + Unpin>(lines: tokio::io::Lines<R>) -> impl futures::Stream<Item = String> {
    futures::stream::unfold(lines, |mut lines| async move {
        Some((lines.next_line().await.unwrap()?, lines))
    })
}

fn names(events: &[(String, Value)]) -> Vec<(&str, &str)> {
    events
        .iter()
        .map(|(t, o)| (t.as_str(), o["metadata"]["name"].as_str().unwrap_or("")))
        .collect()
}

const MERGE: &str = "application/merge-patch+json";

#[tokio::test]
async fn a_watch_from_a_version_tells_what_came_after() {
    let p = plane();
    let (_, a) = p.create(widget("a", json!({"size": 1}))).await;
    let rv = a["metadata"]["resourceVersion"].as_str().unwrap().to_string();
    p.create(widget("b", json!({"size": 1}))).await;
    p.raw("PATCH", &format!("{WIDGETS}/a"), MERGE, json!({"spec": {"size": 2}}))
        .await;
    p.raw("DELETE", &format!("{WIDGETS}/b"), "", Value::Null).await;
    let seen = events(&p, &format!("resourceVersion={rv}"), 3).await;
    assert_eq!(names(&seen), [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]);
    let versions: Vec<u64> = seen
        .iter()
        .map(|(_, o)| o["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(versions.is_sorted(), "{versions:?}");
}

#[tokio::test]
async fn a_selector_turns_changes_into_coming_and_going() {
    let p = plane();
    let (_, a) = p.create(widget("a", json!({"size": 1}))).await;
    let rv = a["metadata"]["resourceVersion"].as_str().unwrap().to_string();
    let label = async |v: Value| {
        p.raw(
            "PATCH",
            &format!("{WIDGETS}/a"),
            MERGE,
            json!({"metadata": {"labels": {"on": v}}}),
        )
        .await;
    };
    label("1".into()).await;
    label("2".into()).await;
    label(Value::Null).await;
    p.create(widget("other", json!({"size": 1}))).await;
    let seen = events(&p, &format!("resourceVersion={rv}&labelSelector=on"), 3).await;
    assert_eq!(names(&seen), [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]);
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let p = plane();
    p.create(widget("a", json!({"size": 1}))).await;
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let seen = events(&p, query, 2).await;
    assert_eq!(names(&seen), [("ADDED", "a"), ("BOOKMARK", "")]);
    assert_eq!(
        seen[1].1["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    let (code, status) = p.get(&format!("{WIDGETS}?watch=true&sendInitialEvents=true")).await;
    assert_eq!((code, &status["reason"]), (422, &json!("Invalid")));
}

#[tokio::test]
async fn what_is_not_kept_any_more_is_gone() {
    let p = plane();
    let (_, first) = p.create(widget("a", json!({"size": 1}))).await;
    let rv = first["metadata"]["resourceVersion"].as_str().unwrap().to_string();
    p.create(widget("b", json!({"size": 1}))).await;
    let p = reopen(p).await;
    let seen = events(&p, &format!("resourceVersion={rv}"), 2).await;
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].0.as_str(), &seen[0].1["code"], &seen[0].1["reason"]),
        ("ERROR", &json!(410), &json!("Expired"))
    );
    let (_, list) = p.get(WIDGETS).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "the objects are all there");
    let now = list["metadata"]["resourceVersion"].as_str().unwrap().to_string();
    p.raw("DELETE", &format!("{WIDGETS}/b"), "", Value::Null).await;
    assert_eq!(
        names(&events(&p, &format!("resourceVersion={now}"), 1).await),
        [("DELETED", "b")]
    );
}
