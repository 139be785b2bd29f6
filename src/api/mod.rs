//! Custom resource types of group `mosdat.dev/v1alpha1`, one file per kind.
//!
//! These structs are the only definition of the kinds: `mosdat crds` prints what they generate, and the doc
//! comments here become the descriptions that `kubectl explain` shows. This folder knows no client and does no I/O.

mod cluster;
mod common;
mod gpu;
mod guest;
mod operation;
mod reference;
mod run;
mod scenario;
mod steps;
mod vision;
mod vm;

pub use cluster::*;
pub use common::*;
pub use gpu::*;
pub use guest::*;
pub use operation::*;
pub use reference::*;
pub use run::*;
pub use scenario::*;
pub use steps::*;
pub use vision::*;
pub use vm::*;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// API group of every kind.
pub const GROUP: &str = "mosdat.dev";
/// Version served and stored.
pub const VERSION: &str = "v1alpha1";
/// Finalizer that keeps an object until what it made in the outside world is gone.
pub const FINALIZER: &str = "mosdat.dev/cleanup";

/// The definitions of all kinds, in the order of their names.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut all = vec![
        FunctionalTestRun::crd(),
        GpuProfile::crd(),
        ProxmoxCluster::crd(),
        ProxmoxVM::crd(),
        Scenario::crd(),
        VisionProvider::crd(),
    ];
    all.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kubectl get` shows why something waits, without `describe`.
    #[test]
    fn every_kind_that_waits_has_a_column_that_says_why() {
        for kind in ["ProxmoxCluster", "ProxmoxVM", "GpuProfile", "FunctionalTestRun"] {
            let crd = crds().into_iter().find(|c| c.spec.names.kind == kind).expect(kind);
            let columns = crd.spec.versions[0]
                .additional_printer_columns
                .clone()
                .unwrap_or_default();
            let column = |name: &str| columns.iter().find(|c| c.name == name).map(|c| c.priority.unwrap_or(0));
            assert_eq!((column("Reason"), column("Message")), (Some(0), Some(1)), "{kind}");
        }
    }

    /// One stored object that the types cannot hold would break every list of its kind.
    #[test]
    fn what_the_schema_lets_in_fits_the_types() {
        fn unbounded(schema: &serde_json::Value, path: &str, out: &mut Vec<String>) {
            if schema["type"] == "integer" {
                let bound = |key: &str| schema[key].as_f64();
                let format = schema["format"].as_str().unwrap_or_default();
                let most = if format.ends_with("64") {
                    9e15
                } else {
                    f64::from(i32::MAX)
                };
                let least = if format.starts_with('u') { 0.0 } else { -most };
                let fits = bound("maximum").is_some_and(|m| m <= most) && bound("minimum").is_some_and(|m| m >= least);
                if !fits {
                    out.push(path.to_string());
                }
            }
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                unbounded(inner, &format!("{path}.{name}"), out);
            }
            for key in ["items", "additionalProperties"] {
                if schema[key].is_object() {
                    unbounded(&schema[key], &format!("{path}.{key}"), out);
                }
            }
        }
        let mut out = Vec::new();
        for crd in crds() {
            for v in &crd.spec.versions {
                let schema = v.schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref());
                let schema = serde_json::to_value(schema).expect("JSON");
                let kind = &crd.spec.names.kind;
                unbounded(&schema["properties"]["spec"], &format!("{kind}.spec"), &mut out);
            }
        }
        assert!(out.is_empty(), "{out:?}");
    }

    /// A rule that reads a member which is not there refuses an object that has nothing wrong.
    #[test]
    fn what_a_rule_reads_is_there_or_asked_for() {
        fn walk(schema: &serde_json::Value, path: &str, read: &regex::Regex, out: &mut Vec<String>) {
            let properties = &schema["properties"];
            for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                let rule = rule["rule"].as_str().unwrap_or_default();
                for member in read.captures_iter(rule).map(|c| c[1].to_string()) {
                    let required = schema["required"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .any(|r| r == &member);
                    let asked_for = rule.contains(&format!("has(self.{member})"));
                    let there = required || !properties[&member]["default"].is_null();
                    if properties[&member].is_object() && !there && !asked_for {
                        out.push(format!("{path}: {rule} reads {member}"));
                    }
                }
            }
            for (name, inner) in properties.as_object().into_iter().flatten() {
                walk(inner, &format!("{path}.{name}"), read, out);
            }
            for key in ["items", "additionalProperties"] {
                if schema[key].is_object() {
                    walk(&schema[key], &format!("{path}.{key}"), read, out);
                }
            }
        }
        let read = regex::Regex::new(r"\bself\.(\w+)").expect("pattern");
        let mut out = Vec::new();
        for crd in crds() {
            let v = serde_json::to_value(&crd.spec.versions[0].schema).expect("schema");
            let kind = &crd.spec.names.kind;
            walk(
                &v["openAPIV3Schema"]["properties"]["spec"],
                &format!("{kind}.spec"),
                &read,
                &mut out,
            );
        }
        assert!(out.is_empty(), "{out:#?}");
    }

    #[test]
    fn every_kind_is_namespaced_described_and_has_short_name_category_and_columns() {
        for crd in crds() {
            let name = crd.metadata.name.clone().unwrap_or_default();
            assert_eq!(crd.spec.scope, "Namespaced", "{name}");
            assert_eq!(
                crd.spec.names.categories.as_deref(),
                Some(&["mosdat".to_string()][..]),
                "{name}"
            );
            assert_eq!(crd.spec.names.short_names.as_ref().map(Vec::len), Some(1), "{name}");
            for v in &crd.spec.versions {
                assert!(
                    v.additional_printer_columns.as_ref().is_some_and(|c| !c.is_empty()),
                    "{name}"
                );
                let schema = v
                    .schema
                    .as_ref()
                    .and_then(|s| s.open_api_v3_schema.as_ref())
                    .expect("schema");
                assert!(
                    schema
                        .description
                        .as_ref()
                        .is_some_and(|d| !d.starts_with("Auto-generated")),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn fields_are_described() {
        fn walk(path: &str, v: &serde_json::Value, missing: &mut Vec<String>) {
            if let Some(props) = v.get("properties").and_then(|p| p.as_object()) {
                for (k, p) in props {
                    let path = format!("{path}.{k}");
                    // Conditions come from k8s-openapi with their own descriptions; metadata is the server's.
                    if k == "metadata" || k == "apiVersion" || k == "kind" {
                        continue;
                    }
                    if p.get("description").is_none() && path.matches('.').count() > 1 {
                        missing.push(path.clone());
                    }
                    walk(&path, p, missing);
                }
            }
            if let Some(items) = v.get("items") {
                walk(&format!("{path}[]"), items, missing);
            }
        }
        let mut missing = Vec::new();
        for crd in crds() {
            let v = serde_json::to_value(&crd.spec.versions[0].schema).expect("schema");
            walk(&crd.spec.names.kind, &v["openAPIV3Schema"], &mut missing);
        }
        assert!(missing.is_empty(), "fields without a description: {missing:#?}");
    }
}
