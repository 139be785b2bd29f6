//! kube-runtime works on it unchanged: watcher, reflector, Controller, finalizer helper, event recorder.

use crate::support::{eventually, plane, typed, widget, widgets_resource};
use futures::{StreamExt, TryStreamExt};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::finalizer::{Event as Finalizer, finalizer};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Resource};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn a_reflector_follows_in_both_strategies() {
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let p = plane();
        let api = p.widgets();
        api.create(&PostParams::default(), &typed(widget("before", json!({"size": 1}))))
            .await
            .unwrap();
        let writer = reflector::store::Writer::new(widgets_resource());
        let store = writer.as_reader();
        let stream = reflector(writer, watcher(api.clone(), config)).touched_objects();
        let task = tokio::spawn(stream.try_for_each(async |_| Ok(())));
        eventually("the first object is seen", async || store.len() == 1).await;
        api.create(&PostParams::default(), &typed(widget("after", json!({"size": 1}))))
            .await
            .unwrap();
        eventually("the second is seen", async || store.len() == 2).await;
        api.delete("before", &DeleteParams::default()).await.unwrap();
        eventually("the deletion is seen", async || store.len() == 1).await;
        task.abort();
    }
}

struct Shared {
    api: Api<DynamicObject>,
    recorder: Recorder,
}

/// Copies the size into the status and records an event; cleans up nothing, but says so through a finalizer.
async fn reconcile(w: Arc<DynamicObject>, shared: Arc<Shared>) -> Result<Action, kube::Error> {
    let result = finalizer(&shared.api, "mosdat.dev/cleanup", w, async |event| {
        let Finalizer::Apply(w) = event else {
            return Ok(Action::await_change());
        };
        let status = json!({"apiVersion": "test.mosdat.dev/v1alpha1", "kind": "Widget",
            "status": {"phase": format!("size {}", w.data["spec"]["size"]), "observedGeneration": w.metadata.generation}});
        let params = PatchParams::apply("controller").force();
        let name = w.metadata.name.clone().unwrap_or_default();
        shared.api.patch_status(&name, &params, &Patch::Apply(status)).await?;
        let event = Event {
            type_: EventType::Normal,
            reason: "Measured".into(),
            note: None,
            action: "Measure".into(),
            secondary: None,
        };
        shared
            .recorder
            .publish(&event, &w.object_ref(&widgets_resource()))
            .await?;
        Ok::<_, kube::Error>(Action::await_change())
    });
    result.await.map_err(|e| kube::Error::Service(Box::new(e)))
}

#[tokio::test]
async fn a_controller_reconciles() {
    let p = plane();
    let api = p.widgets();
    let recorder = Recorder::new(
        p.client.clone(),
        Reporter {
            controller: "mosdat.dev/test".into(),
            instance: None,
        },
    );
    let shared = Arc::new(Shared {
        api: api.clone(),
        recorder,
    });
    let controller = Controller::new_with(api.clone(), watcher::Config::default(), widgets_resource());
    let running = controller.run(reconcile, |_, _, _| Action::requeue(Duration::from_millis(50)), shared);
    let task = tokio::spawn(running.for_each(async |_| ()));
    api.create(&PostParams::default(), &typed(widget("w", json!({"size": 7}))))
        .await
        .unwrap();
    let phase = async || api.get("w").await.unwrap().data["status"]["phase"].clone();
    eventually("the status is written", async || phase().await == "size 7").await;
    api.patch(
        "w",
        &PatchParams::default(),
        &Patch::Merge(json!({"spec": {"size": 8}})),
    )
    .await
    .unwrap();
    eventually("the change is followed", async || phase().await == "size 8").await;
    let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(p.client.clone(), "default");
    eventually("an event is recorded and counted", async || {
        let list = events.list(&Default::default()).await.unwrap().items;
        list.iter()
            .any(|e| e.reason.as_deref() == Some("Measured") && e.involved_object.name.as_deref() == Some("w"))
    })
    .await;
    api.delete("w", &DeleteParams::default()).await.unwrap();
    eventually("the finalizer lets go", async || {
        api.get_opt("w").await.unwrap().is_none()
    })
    .await;
    task.abort();
}
