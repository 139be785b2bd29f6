//! Request bodies in Kubernetes' protobuf form: typed clients (kubectl create secret, ...) send the built-in kinds so.
//!
//! A body is the magic `k8s\0` and a `runtime.Unknown` (api version and kind, then the object's own bytes). The tables
//! below are the field numbers of the published .proto files; what they do not list is refused by number.

use super::object::text;
use super::status::{ApiError, ApiResult};
use base64::Engine as _;
use serde_json::{Map, Value, json};

/// How a field is encoded and shown.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Texts,
    Int,
    Bool,
    Bytes,
    TextMap,
    ByteMap,
    /// metav1.Time (whole seconds) and metav1.MicroTime (microseconds).
    Time,
    MicroTime,
    One(Message),
    Many(Message),
}

type Message = &'static [(u64, &'static str, Kind)];

use Kind::*;

const OWNER: Message = &[
    (1, "kind", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "controller", Bool),
    (7, "blockOwnerDeletion", Bool),
];
const FIELDS: Message = &[(1, "", Bytes)];
const MANAGED: Message = &[
    (1, "manager", Text),
    (2, "operation", Text),
    (3, "apiVersion", Text),
    (4, "time", Time),
    (6, "fieldsType", Text),
    (7, "fieldsV1", One(FIELDS)),
    (8, "subresource", Text),
];
const META: Message = &[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (4, "selfLink", Text),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (7, "generation", Int),
    (8, "creationTimestamp", Time),
    (9, "deletionTimestamp", Time),
    (10, "deletionGracePeriodSeconds", Int),
    (11, "labels", TextMap),
    (12, "annotations", TextMap),
    (13, "ownerReferences", Many(OWNER)),
    (14, "finalizers", Texts),
    (17, "managedFields", Many(MANAGED)),
];
const REFERENCE: Message = &[
    (1, "kind", Text),
    (2, "namespace", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "resourceVersion", Text),
    (7, "fieldPath", Text),
];
const SOURCE: Message = &[(1, "component", Text), (2, "host", Text)];
const SERIES: Message = &[(1, "count", Int), (2, "lastObservedTime", MicroTime)];
const NAMESPACE_SPEC: Message = &[(1, "finalizers", Texts)];
const NAMESPACE_STATUS: Message = &[(1, "phase", Text)];
const LEASE_SPEC: Message = &[
    (1, "holderIdentity", Text),
    (2, "leaseDurationSeconds", Int),
    (3, "acquireTime", MicroTime),
    (4, "renewTime", MicroTime),
    (5, "leaseTransitions", Int),
    (6, "strategy", Text),
    (7, "preferredHolder", Text),
];
const PRECONDITIONS: Message = &[(1, "uid", Text), (2, "resourceVersion", Text)];

/// (api version, kind, fields).
const KINDS: &[(&str, &str, Message)] = &[
    (
        "v1",
        "Namespace",
        &[
            (1, "metadata", One(META)),
            (2, "spec", One(NAMESPACE_SPEC)),
            (3, "status", One(NAMESPACE_STATUS)),
        ],
    ),
    (
        "v1",
        "Secret",
        &[
            (1, "metadata", One(META)),
            (2, "data", ByteMap),
            (3, "type", Text),
            (4, "stringData", TextMap),
            (5, "immutable", Bool),
        ],
    ),
    (
        "v1",
        "ConfigMap",
        &[
            (1, "metadata", One(META)),
            (2, "data", TextMap),
            (3, "binaryData", ByteMap),
            (4, "immutable", Bool),
        ],
    ),
    (
        "v1",
        "Event",
        &[
            (1, "metadata", One(META)),
            (2, "involvedObject", One(REFERENCE)),
            (3, "reason", Text),
            (4, "message", Text),
            (5, "source", One(SOURCE)),
            (6, "firstTimestamp", Time),
            (7, "lastTimestamp", Time),
            (8, "count", Int),
            (9, "type", Text),
            (10, "eventTime", MicroTime),
            (11, "series", One(SERIES)),
            (12, "action", Text),
            (13, "related", One(REFERENCE)),
            (14, "reportingComponent", Text),
            (15, "reportingInstance", Text),
        ],
    ),
    (
        "events.k8s.io/v1",
        "Event",
        &[
            (1, "metadata", One(META)),
            (2, "eventTime", MicroTime),
            (3, "series", One(SERIES)),
            (4, "reportingController", Text),
            (5, "reportingInstance", Text),
            (6, "action", Text),
            (7, "reason", Text),
            (8, "regarding", One(REFERENCE)),
            (9, "related", One(REFERENCE)),
            (10, "note", Text),
            (11, "type", Text),
            (12, "deprecatedSource", One(SOURCE)),
            (13, "deprecatedFirstTimestamp", Time),
            (14, "deprecatedLastTimestamp", Time),
            (15, "deprecatedCount", Int),
        ],
    ),
    (
        "coordination.k8s.io/v1",
        "Lease",
        &[(1, "metadata", One(META)), (2, "spec", One(LEASE_SPEC))],
    ),
];

const DELETE_OPTIONS: Message = &[
    (1, "gracePeriodSeconds", Int),
    (2, "preconditions", One(PRECONDITIONS)),
    (3, "orphanDependents", Bool),
    (4, "propagationPolicy", Text),
    (5, "dryRun", Texts),
    (6, "ignoreStoreReadErrorWithClusterBreakingPotential", Bool),
];
const TYPE_META: Message = &[(1, "apiVersion", Text), (2, "kind", Text)];
const UNKNOWN: Message = &[
    (1, "typeMeta", One(TYPE_META)),
    (2, "raw", Bytes),
    (3, "contentEncoding", Text),
    (4, "contentType", Text),
];

/// Decodes a whole body into the object's JSON form.
pub fn decode(body: &[u8]) -> ApiResult<Value> {
    let bad = |why: String| ApiError::bad_request(format!("error decoding the protobuf body: {why}"));
    let inner = body
        .strip_prefix(b"k8s\0")
        .ok_or_else(|| bad("it does not begin with the magic k8s\\0".into()))?;
    let unknown = message(UNKNOWN, inner).map_err(bad)?;
    let (api_version, kind) = (text(&unknown, "/typeMeta/apiVersion"), text(&unknown, "/typeMeta/kind"));
    let fields = if kind == "DeleteOptions" {
        DELETE_OPTIONS
    } else {
        let found = KINDS.iter().find(|(v, k, _)| *v == api_version && *k == kind);
        found
            .ok_or_else(|| {
                bad(format!(
                    "{api_version} {kind} is not a kind that is decoded here; send JSON"
                ))
            })?
            .2
    };
    let raw = base64::engine::general_purpose::STANDARD
        .decode(text(&unknown, "/raw"))
        .map_err(|e| bad(e.to_string()))?;
    let mut value = message(fields, &raw).map_err(bad)?;
    value["apiVersion"] = api_version.into();
    value["kind"] = kind.into();
    Ok(value)
}

/// A reader of protobuf's wire format.
struct Reader<'a>(&'a [u8]);

enum Wire<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Result<u64, String> {
        let mut out = 0u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first().ok_or("it ends in a number")?;
            self.0 = rest;
            out |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(out);
            }
        }
        Err("a number is too long".into())
    }

    fn next(&mut self) -> Result<Option<(u64, Wire<'a>)>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|e| e.to_string())?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or("it ends in a field")?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            other => return Err(format!("wire type {other} is not used by these kinds")),
        };
        Ok(Some((tag >> 3, wire)))
    }
}

fn message(fields: Message, bytes: &[u8]) -> Result<Value, String> {
    let mut out = Map::new();
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.next()? {
        let (_, name, kind) = fields
            .iter()
            .find(|(n, ..)| *n == number)
            .ok_or_else(|| format!("unknown field number {number}"))?;
        let value = match (kind, wire) {
            (Int, Wire::Varint(v)) => json!(v as i64),
            (Bool, Wire::Varint(v)) => json!(v != 0),
            (Text | Texts, Wire::Bytes(b)) => std::str::from_utf8(b).map_err(|e| e.to_string())?.into(),
            (Bytes, Wire::Bytes(b)) => base64::engine::general_purpose::STANDARD.encode(b).into(),
            (Time, Wire::Bytes(b)) => time(b, 0)?,
            (MicroTime, Wire::Bytes(b)) => time(b, 6)?,
            (One(m) | Many(m), Wire::Bytes(b)) => message(m, b)?,
            (TextMap | ByteMap, Wire::Bytes(b)) => {
                let value = if matches!(kind, TextMap) { Text } else { Bytes };
                let entry: [(u64, &str, Kind); 2] = [(1, "k", Text), (2, "v", value)];
                let mut pair = Map::new();
                let mut inner = Reader(b);
                while let Some((n, w)) = inner.next()? {
                    let Wire::Bytes(b) = w else {
                        return Err("a map's entry is malformed".into());
                    };
                    let (_, k, kind) = entry
                        .iter()
                        .find(|(x, ..)| *x == n)
                        .ok_or("a map's entry is malformed")?;
                    pair.insert(
                        k.to_string(),
                        match kind {
                            Text => std::str::from_utf8(b).map_err(|e| e.to_string())?.into(),
                            _ => base64::engine::general_purpose::STANDARD.encode(b).into(),
                        },
                    );
                }
                let key = pair.get("k").and_then(Value::as_str).unwrap_or("").to_string();
                let slot = out.entry(name.to_string()).or_insert_with(|| json!({}));
                slot[key] = pair.remove("v").unwrap_or_else(|| "".into());
                continue;
            }
            _ => return Err(format!("field {number} ({name}) has the wrong wire type")),
        };
        match kind {
            Texts | Many(_) => {
                let slot = out.entry(name.to_string()).or_insert_with(|| json!([]));
                if let Some(list) = slot.as_array_mut() {
                    list.push(value);
                }
            }
            // FieldsV1 is JSON text inside bytes.
            One(m) if m.len() == 1 && m[0].1.is_empty() => {
                let raw = base64::engine::general_purpose::STANDARD
                    .decode(text(&value, "/"))
                    .unwrap_or_default();
                out.insert(
                    name.to_string(),
                    serde_json::from_slice(&raw).map_err(|e| e.to_string())?,
                );
            }
            // proto2 writes empty strings of members that JSON leaves out.
            Text if value == "" => {}
            _ => {
                out.insert(name.to_string(), value);
            }
        }
    }
    Ok(Value::Object(out))
}

/// A time: seconds and nanoseconds since 1970; an empty message is no time.
fn time(bytes: &[u8], digits: u8) -> Result<Value, String> {
    const FIELDS: Message = &[(1, "seconds", Int), (2, "nanos", Int)];
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let v = message(FIELDS, bytes)?;
    let (s, n) = (v["seconds"].as_i64().unwrap_or(0), v["nanos"].as_i64().unwrap_or(0));
    let t = jiff::Timestamp::new(s, i32::try_from(n).map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    let format = if digits == 0 {
        "%Y-%m-%dT%H:%M:%SZ"
    } else {
        "%Y-%m-%dT%H:%M:%S.%6fZ"
    };
    Ok(t.strftime(format).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[(number << 3) | 2, bytes.len() as u8], bytes].concat()
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [
            b"k8s\0".to_vec(),
            field(1, &meta),
            field(2, raw),
            field(3, b""),
            field(4, b""),
        ]
        .concat()
    }

    #[test]
    fn a_secret_as_kubectl_sends_it() {
        let meta = [field(1, b"s"), field(3, b"")].concat();
        let entry = [field(1, b"a"), field(2, b"b")].concat();
        let raw = [field(1, &meta), field(2, &entry), field(3, b"Opaque")].concat();
        let v = decode(&body("Secret", &raw)).unwrap();
        assert_eq!(
            v,
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "Yg=="}, "type": "Opaque"})
        );
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(decode(&body("Pod", b"")).unwrap_err().message.contains("Pod"));
        assert!(decode(b"{}").unwrap_err().message.contains("magic"));
        let odd = body("Secret", &field(15, b"x"));
        assert!(decode(&odd).unwrap_err().message.contains("field number 15"));
    }
}
