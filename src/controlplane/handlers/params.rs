//! The request as the handlers see it: query parameters and the decoded body.

use crate::controlplane::status::{ApiError, ApiResult, FieldError};
use bytes::Bytes;
use http::Method;
use serde_json::Value;
use std::collections::BTreeMap;

/// One HTTP request, body read.
pub struct ApiRequest {
    pub method: Method,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub accept: String,
    pub content_type: String,
    pub user_agent: String,
    pub body: Bytes,
}

/// What to do about members that the schema does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// The query parameters that are understood.
#[derive(Debug, Clone)]
pub struct Params {
    pub field_manager: Option<String>,
    /// The manager's name when none is given: the User-Agent up to the first slash.
    pub default_manager: String,
    pub field_validation: FieldValidation,
    pub dry_run: bool,
    pub force: bool,
    pub watch: bool,
    pub label_selector: Option<String>,
    pub field_selector: Option<String>,
    pub resource_version: Option<String>,
    pub resource_version_match: Option<String>,
    pub limit: Option<usize>,
    pub continue_token: Option<String>,
    pub timeout_seconds: Option<u64>,
    pub bookmarks: bool,
    pub send_initial_events: Option<bool>,
}

impl Params {
    pub fn new(request: &ApiRequest) -> ApiResult<Params> {
        let q = |k: &str| request.query.get(k).map(String::as_str).filter(|v| !v.is_empty());
        let flag = |k: &str| request.query.get(k).is_some_and(|v| v != "false" && v != "0");
        let number = |k: &str| -> ApiResult<Option<u64>> {
            let bad = |v: &str| ApiError::bad_request(format!("strconv.ParseInt: parsing {v:?}: invalid syntax ({k})"));
            q(k).map(|v| v.parse().map_err(|_| bad(v))).transpose()
        };
        let options = match request.method {
            Method::POST => "CreateOptions",
            Method::PUT => "UpdateOptions",
            Method::PATCH => "PatchOptions",
            _ => "DeleteOptions",
        };
        let about = crate::controlplane::status::About { group: "meta.k8s.io", plural: "", kind: options };
        let dry_run = match q("dryRun") {
            None => false,
            Some("All") => true,
            Some(other) => {
                let e = FieldError::not_supported("dryRun", serde_json::json!([other]), &["All".to_string()]);
                return Err(ApiError::invalid(about, "", &[e]));
            }
        };
        let field_validation = match q("fieldValidation") {
            None | Some("Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                let valid = ["Ignore", "Warn", "Strict"].map(String::from);
                let e = FieldError::not_supported("fieldValidation", other.into(), &valid);
                return Err(ApiError::invalid(about, "", &[e]));
            }
        };
        let field_manager = q("fieldManager").map(String::from);
        if field_manager.as_ref().is_some_and(|m| m.len() > 128) {
            let e = FieldError::too_long("fieldManager", 128);
            return Err(ApiError::invalid(about, "", &[e]));
        }
        let agent = request.user_agent.split('/').next().unwrap_or("");
        Ok(Params {
            field_manager,
            default_manager: if agent.is_empty() { "unknown".into() } else { agent.chars().take(128).collect() },
            field_validation,
            dry_run,
            force: flag("force"),
            watch: flag("watch"),
            label_selector: q("labelSelector").map(String::from),
            field_selector: q("fieldSelector").map(String::from),
            resource_version: q("resourceVersion").map(String::from),
            resource_version_match: q("resourceVersionMatch").map(String::from),
            limit: number("limit")?.filter(|n| *n > 0).map(|n| n as usize),
            continue_token: q("continue").map(String::from),
            timeout_seconds: number("timeoutSeconds")?,
            bookmarks: flag("allowWatchBookmarks"),
            send_initial_events: request.query.get("sendInitialEvents").map(|v| v == "true" || v == "1"),
        })
    }

    /// For writes of the control plane itself.
    pub fn internal(manager: &str) -> Params {
        Params {
            field_manager: Some(manager.into()),
            default_manager: manager.into(),
            field_validation: FieldValidation::Ignore,
            dry_run: false,
            force: false,
            watch: false,
            label_selector: None,
            field_selector: None,
            resource_version: None,
            resource_version_match: None,
            limit: None,
            continue_token: None,
            timeout_seconds: None,
            bookmarks: false,
            send_initial_events: None,
        }
    }

    pub fn manager(&self) -> &str {
        self.field_manager.as_deref().unwrap_or(&self.default_manager)
    }
}

/// Reads an object from a JSON or YAML body.
pub fn decode_body(request: &ApiRequest) -> ApiResult<Value> {
    let media = request.content_type.split(';').next().unwrap_or("").trim();
    let value: Value = match media {
        "" | "application/json" | "*/*" => serde_json::from_slice(&request.body).map_err(|e| {
            ApiError::bad_request(format!("error decoding the body as JSON: {e}"))
        })?,
        "application/yaml" => decode_yaml(&request.body)?,
        _ => return Err(ApiError::unsupported_media_type("application/json, application/yaml")),
    };
    if !value.is_object() {
        return Err(ApiError::bad_request("the body must be an object"));
    }
    Ok(value)
}

pub fn decode_yaml(body: &[u8]) -> ApiResult<Value> {
    // JSON is YAML, and what clients send as YAML mostly is JSON; that parser is the faster one.
    if let Ok(v) = serde_json::from_slice(body) {
        return Ok(v);
    }
    let text = std::str::from_utf8(body).map_err(|e| ApiError::bad_request(format!("error decoding YAML: {e}")))?;
    serde_saphyr::from_str(text).map_err(|e| ApiError::bad_request(format!("error decoding YAML: {e}")))
}
