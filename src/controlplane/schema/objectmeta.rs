//! The schema of `metadata`, which a custom resource's own schema leaves to the server.

use super::{Additional, ListType, Node, Type};
use std::collections::BTreeMap;

fn leaf(ty: Type) -> Node {
    Node { ty: Some(ty), nullable: true, ..Node::default() }
}

fn object(members: Vec<(&str, Node)>) -> Node {
    let properties: BTreeMap<_, _> = members.into_iter().map(|(k, v)| (k.to_string(), v)).collect();
    Node { ty: Some(Type::Object), properties, nullable: true, ..Node::default() }
}

fn list(items: Node, list_type: ListType) -> Node {
    Node {
        ty: Some(Type::Array),
        items: Some(Box::new(items)),
        list_type: Some(list_type),
        nullable: true,
        ..Node::default()
    }
}

fn string_map() -> Node {
    Node {
        ty: Some(Type::Object),
        additional: Some(Additional::Schema(Box::new(leaf(Type::String)))),
        nullable: true,
        ..Node::default()
    }
}

/// metav1.ObjectMeta.
pub fn node() -> Node {
    let s = || leaf(Type::String);
    let owner = Node {
        atomic_map: true,
        ..object(vec![
            ("apiVersion", s()),
            ("kind", s()),
            ("name", s()),
            ("uid", s()),
            ("controller", leaf(Type::Boolean)),
            ("blockOwnerDeletion", leaf(Type::Boolean)),
        ])
    };
    let managed = object(vec![
        ("manager", s()),
        ("operation", s()),
        ("apiVersion", s()),
        ("time", s()),
        ("fieldsType", s()),
        ("fieldsV1", Node { preserve_unknown: true, ..object(vec![]) }),
        ("subresource", s()),
    ]);
    object(vec![
        ("name", s()),
        ("generateName", s()),
        ("namespace", s()),
        ("selfLink", s()),
        ("uid", s()),
        ("resourceVersion", s()),
        ("generation", leaf(Type::Integer)),
        ("creationTimestamp", s()),
        ("deletionTimestamp", s()),
        ("deletionGracePeriodSeconds", leaf(Type::Integer)),
        ("labels", string_map()),
        ("annotations", string_map()),
        ("ownerReferences", list(owner, ListType::Map(vec!["uid".into()]))),
        ("finalizers", list(s(), ListType::Set)),
        ("managedFields", list(managed, ListType::Atomic)),
    ])
}

/// Gives a root schema the members that every object has.
pub fn attach(root: &mut Node) {
    for word in ["apiVersion", "kind"] {
        root.properties.entry(word.into()).or_insert_with(|| leaf(Type::String));
    }
    root.properties.insert("metadata".into(), node());
}
