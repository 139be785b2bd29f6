//! core/v1 and events.k8s.io/v1 show the same events under different member names; they are stored as core/v1.

use super::resource::{Class, Resource};
use serde_json::Value;
use std::borrow::Cow;

/// (core/v1, events.k8s.io/v1).
const NAMES: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

fn rename(value: &mut Value, api_version: &str, pairs: impl Iterator<Item = (&'static str, &'static str)>) {
    let Some(map) = value.as_object_mut() else { return };
    map.insert("apiVersion".into(), api_version.into());
    for (from, to) in pairs {
        if let Some(v) = map.remove(from) {
            map.insert(to.into(), v);
        }
    }
}

/// The stored form of an object of this resource.
pub fn to_stored(resource: &Resource, mut value: Value) -> Value {
    if resource.class == Class::EventV1 {
        rename(&mut value, "v1", NAMES.iter().map(|(core, new)| (*new, *core)));
    }
    value
}

/// The form in which this resource shows a stored object.
pub fn to_wire(resource: &Resource, mut value: Value) -> Value {
    if resource.class == Class::EventV1 {
        rename(&mut value, "events.k8s.io/v1", NAMES.iter().copied());
    }
    value
}

/// The same on bytes; only events need work.
pub fn bytes_to_wire<'a>(resource: &Resource, stored: &'a super::object::Stored) -> Cow<'a, [u8]> {
    if resource.class == Class::EventV1 {
        Cow::Owned(to_wire(resource, stored.value()).to_string().into_bytes())
    } else {
        Cow::Borrowed(&stored.json)
    }
}
