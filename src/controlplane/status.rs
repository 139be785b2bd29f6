//! Error answers: the Kubernetes `Status` object with the texts of a kube-apiserver (apimachinery `api/errors`).

pub use super::field::{FieldError, FieldErrorKind};
use serde_json::{Value, json};

/// A refused request: becomes a `Status` object with the given HTTP code.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    pub code: u16,
    pub reason: &'static str,
    pub message: String,
    pub details: Option<Value>,
}

/// What a handler returns.
pub type ApiResult<T> = Result<T, ApiError>;

/// The resource that an error speaks about: group, plural name and kind.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub group: &'a str,
    pub plural: &'a str,
    pub kind: &'a str,
}

impl About<'_> {
    fn qualified(&self, word: &str) -> String {
        if self.group.is_empty() {
            word.to_string()
        } else {
            format!("{word}.{}", self.group)
        }
    }

    fn details(&self, name: &str, word: &str) -> Value {
        let mut d = serde_json::Map::new();
        if !name.is_empty() {
            d.insert("name".into(), name.into());
        }
        if !self.group.is_empty() {
            d.insert("group".into(), self.group.into());
        }
        if !word.is_empty() {
            d.insert("kind".into(), word.into());
        }
        Value::Object(d)
    }
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        ApiError {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    fn about(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    pub fn not_found(about: About, name: &str) -> Self {
        let message = format!("{} {name:?} not found", about.qualified(about.plural));
        Self::new(404, "NotFound", message).about(about.details(name, about.plural))
    }

    pub fn already_exists(about: About, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", about.qualified(about.plural));
        Self::new(409, "AlreadyExists", message).about(about.details(name, about.plural))
    }

    pub fn conflict(about: About, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            about.qualified(about.plural)
        );
        Self::new(409, "Conflict", message).about(about.details(name, about.plural))
    }

    /// The optimistic lock failed.
    pub fn modified(about: About, name: &str) -> Self {
        Self::conflict(
            about,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub fn apply_conflict(message: String, causes: Vec<Value>) -> Self {
        Self::new(409, "Conflict", message).about(json!({ "causes": causes }))
    }

    /// The same while the object of that name is on its way out.
    pub fn already_exists_deleting(about: About, name: &str) -> Self {
        let e = Self::already_exists(about, name);
        ApiError {
            message: format!("object is being deleted: {}", e.message),
            ..e
        }
    }

    /// 500 without a reason: errors that the real server passes on as they are.
    pub fn plain(message: String) -> Self {
        Self::new(500, "", message)
    }

    /// A JSON patch that does not fit the object.
    pub fn rejected() -> Self {
        Self::new(
            422,
            "Invalid",
            "the server rejected our request due to an error in our request",
        )
        .about(json!({}))
    }

    pub fn forbidden(about: About, name: &str, why: &str) -> Self {
        let message = if name.is_empty() {
            format!("{} is forbidden: {why}", about.qualified(about.plural))
        } else {
            format!("{} {name:?} is forbidden: {why}", about.qualified(about.plural))
        };
        Self::new(403, "Forbidden", message).about(about.details(name, about.plural))
    }

    /// 422 with one cause per field error.
    pub fn invalid(about: About, name: &str, errors: &[FieldError]) -> Self {
        let mut seen: Vec<String> = Vec::new();
        for e in errors {
            let text = e.to_string();
            if !seen.contains(&text) {
                seen.push(text);
            }
        }
        let list = if seen.len() == 1 {
            seen[0].clone()
        } else {
            format!("[{}]", seen.join(", "))
        };
        let message = format!("{} {name:?} is invalid: {list}", about.qualified(about.kind));
        let causes: Vec<Value> = errors
            .iter()
            .map(|e| json!({ "reason": e.kind.reason(), "message": e.body(), "field": e.field }))
            .collect();
        let mut details = about.details(name, about.kind);
        details["causes"] = causes.into();
        Self::new(422, "Invalid", message).about(details)
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub fn method_not_supported(about: About, action: &str) -> Self {
        let message = format!(
            "{action} is not supported on resources of kind {:?}",
            about.qualified(about.plural)
        );
        Self::new(405, "MethodNotAllowed", message).about(about.details("", about.plural))
    }

    pub fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
        .about(json!({}))
    }

    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "404 page not found")
    }

    pub fn is_no_such_path(&self) -> bool {
        self.code == 404 && self.details.is_none()
    }

    /// 501: known to Kubernetes, deliberately not served here.
    pub fn not_implemented(what: &str) -> Self {
        Self::new(
            501,
            "NotImplemented",
            format!("{what} is not implemented by mosdat's embedded control plane"),
        )
    }

    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub fn unsupported_media_type(accepted: &str) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}"),
        )
    }

    pub fn not_acceptable(accepted: &str) -> Self {
        Self::new(
            406,
            "NotAcceptable",
            format!("only the following media types are accepted: {accepted}"),
        )
    }

    pub fn too_large(limit: usize) -> Self {
        Self::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {limit}"),
        )
    }

    pub fn internal(why: impl std::fmt::Display) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {why}"))
            .about(json!({ "causes": [{ "message": why.to_string() }] }))
    }

    /// 507: the disk that holds the state is full.
    pub fn insufficient_storage(message: impl Into<String>) -> Self {
        Self::new(507, "InsufficientStorage", message)
    }

    /// The `Status` object, as sent.
    pub fn to_json(&self) -> Value {
        let mut v = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            v["reason"] = self.reason.into();
        }
        if let Some(d) = &self.details {
            v["details"] = d.clone();
        }
        v
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: About = About {
        group: "mosdat.dev",
        plural: "functionaltestruns",
        kind: "FunctionalTestRun",
    };

    #[test]
    fn texts_are_those_of_the_real_server() {
        let e = ApiError::not_found(RUNS, "x");
        assert_eq!(e.message, r#"functionaltestruns.mosdat.dev "x" not found"#);
        let one = [FieldError::invalid("spec.foo", "a", "no")];
        let e = ApiError::invalid(RUNS, "x", &one);
        assert_eq!(
            e.message,
            r#"FunctionalTestRun.mosdat.dev "x" is invalid: spec.foo: Invalid value: "a": no"#
        );
        let two = [one[0].clone(), FieldError::required("spec.bar", "")];
        let e = ApiError::invalid(RUNS, "x", &two);
        assert!(
            e.message
                .ends_with(r#"is invalid: [spec.foo: Invalid value: "a": no, spec.bar: Required value]"#)
        );
    }
}
