//! Small helpers over the JSON form of an object: metadata access, names, time stamps.

use bytes::Bytes;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// An object as stored: its JSON, and the few facts that lists, watches and the garbage collector need often.
#[derive(Debug)]
pub struct Stored {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub resource_version: u64,
    pub labels: BTreeMap<String, String>,
    pub owners: Vec<Owner>,
    pub finalizers: Vec<String>,
    pub deleting: bool,
    pub json: Bytes,
}

/// One owner reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub api_version: String,
    pub kind: String,
    pub uid: String,
    pub blocks: bool,
}

impl Stored {
    /// Takes the facts out of an object that already has its metadata (name, uid, resourceVersion).
    pub fn new(value: &Value) -> Self {
        Self::from_parts(value, Bytes::from(value.to_string()))
    }

    fn from_parts(value: &Value, json: Bytes) -> Self {
        let owners = value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let owners = owners.into_iter().flatten().map(|o| Owner {
            api_version: text(o, "/apiVersion").into(),
            kind: text(o, "/kind").into(),
            uid: text(o, "/uid").into(),
            blocks: o.get("blockOwnerDeletion").and_then(Value::as_bool).unwrap_or(false),
        });
        Stored {
            namespace: text(value, "/metadata/namespace").into(),
            name: text(value, "/metadata/name").into(),
            uid: text(value, "/metadata/uid").into(),
            resource_version: resource_version(value).unwrap_or(0),
            labels: labels(value),
            owners: owners.collect(),
            finalizers: finalizers(value),
            deleting: value.pointer("/metadata/deletionTimestamp").is_some(),
            json,
        }
    }

    /// Reads a stored object back from the bytes in the state file.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let value: Value = serde_json::from_slice(json)?;
        Ok(Self::from_parts(&value, Bytes::copy_from_slice(json)))
    }

    /// The whole object. The bytes came from a `Value`, so they parse; anything else would be memory corruption.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.json).unwrap_or(Value::Null)
    }
}

/// The string at a JSON pointer, or "".
pub fn text<'a>(v: &'a Value, pointer: &str) -> &'a str {
    v.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

pub fn name(v: &Value) -> &str {
    text(v, "/metadata/name")
}

pub fn resource_version(v: &Value) -> Option<u64> {
    text(v, "/metadata/resourceVersion").parse().ok()
}

pub fn labels(v: &Value) -> BTreeMap<String, String> {
    let map = v.pointer("/metadata/labels").and_then(Value::as_object);
    let pairs = map.into_iter().flatten().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_string())));
    pairs.collect()
}

pub fn finalizers(v: &Value) -> Vec<String> {
    let list = v.pointer("/metadata/finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|f| f.as_str().map(String::from)).collect()
}

/// The metadata map, made if it is not there (or is not a map).
pub fn meta_mut(v: &mut Value) -> &mut Map<String, Value> {
    if !v.is_object() {
        *v = Value::Object(Map::new());
    }
    let slot = &mut v["metadata"];
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(m) => m,
        _ => unreachable!("made an object two lines above"),
    }
}

/// Now, in the form of metav1.Time: UTC, whole seconds.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A random (version 4) UUID.
pub fn new_uid() -> String {
    let mut b: [u8; 16] = rand::random();
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let h = hex::encode(b);
    format!("{}-{}-{}-{}-{}", &h[0..8], &h[8..12], &h[12..16], &h[16..20], &h[20..32])
}

/// Five characters for `generateName`, from the alphabet the real server uses (no vowels, no look-alikes).
pub fn name_suffix() -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let b: [u8; 5] = rand::random();
    b.iter().map(|x| ALPHABET[*x as usize % ALPHABET.len()] as char).collect()
}
