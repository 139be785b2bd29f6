//! Error answers: the Kubernetes `Status` object with the texts of a kube-apiserver (apimachinery `api/errors`).

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
        if self.group.is_empty() { word.to_string() } else { format!("{word}.{}", self.group) }
    }

    fn details(&self, name: &str, word: &str) -> Value {
        let mut d = serde_json::Map::new();
        if !name.is_empty() {
            d.insert("name".into(), name.into());
        }
        if !self.group.is_empty() {
            d.insert("group".into(), self.group.into());
        }
        d.insert("kind".into(), word.into());
        Value::Object(d)
    }
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        ApiError { code, reason, message: message.into(), details: None }
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
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", about.qualified(about.plural));
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
        let list = if seen.len() == 1 { seen[0].clone() } else { format!("[{}]", seen.join(", ")) };
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
        let message = format!("{action} is not supported on resources of kind {:?}", about.qualified(about.plural));
        Self::new(405, "MethodNotAllowed", message).about(about.details("", about.plural))
    }

    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .about(json!({}))
    }

    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").about(json!({}))
    }

    /// 501: known to Kubernetes, deliberately not served here.
    pub fn not_implemented(what: &str) -> Self {
        Self::new(501, "NotImplemented", format!("{what} is not implemented by mosdat's embedded control plane"))
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
        Self::new(406, "NotAcceptable", format!("only the following media types are accepted: {accepted}"))
    }

    pub fn too_large(limit: usize) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"))
    }

    pub fn internal(why: impl std::fmt::Display) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {why}"))
            .about(json!({ "causes": [{ "message": why.to_string() }] }))
    }

    /// The `Status` object, as sent.
    pub fn to_json(&self) -> Value {
        let mut v = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let Some(d) = &self.details {
            v["details"] = d.clone();
        }
        v
    }
}

/// The classes of field errors (apimachinery `validation/field`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldErrorKind {
    Required,
    Invalid,
    TypeInvalid,
    NotSupported,
    Forbidden,
    TooLong,
    TooMany,
    Duplicate,
}

impl FieldErrorKind {
    fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Duplicate => "FieldValueDuplicate",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Duplicate => "Duplicate value",
        }
    }

    /// Such an error keeps CEL rules from running, as they would see a malformed object.
    pub fn blocks_rules(self) -> bool {
        matches!(self, Self::NotSupported | Self::Required | Self::TooLong | Self::TooMany | Self::TypeInvalid)
    }
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    pub kind: FieldErrorKind,
    pub field: String,
    /// The value shown in the message; `None` leaves it out.
    pub value: Option<Value>,
    pub detail: String,
}

impl FieldError {
    pub fn new(kind: FieldErrorKind, field: impl Into<String>, value: Option<Value>, detail: impl Into<String>) -> Self {
        FieldError { kind, field: field.into(), value, detail: detail.into() }
    }

    pub fn invalid(field: impl Into<String>, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Invalid, field, Some(value.into()), detail)
    }

    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Required, field, None, detail)
    }

    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Forbidden, field, None, detail)
    }

    pub fn too_long(field: impl Into<String>, max: u64) -> Self {
        let unit = if max == 1 { "byte" } else { "bytes" };
        Self::new(FieldErrorKind::TooLong, field, None, format!("may not be more than {max} {unit}"))
    }

    pub fn too_many(field: impl Into<String>, actual: usize, max: u64) -> Self {
        let unit = if max == 1 { "item" } else { "items" };
        Self::new(FieldErrorKind::TooMany, field, Some(actual.into()), format!("must have at most {max} {unit}"))
    }

    pub fn not_supported(field: impl Into<String>, value: Value, valid: &[String]) -> Self {
        let list: Vec<String> = valid.iter().map(|v| format!("{v:?}")).collect();
        let detail = if list.is_empty() { String::new() } else { format!("supported values: {}", list.join(", ")) };
        Self::new(FieldErrorKind::NotSupported, field, Some(value), detail)
    }

    /// The message without the field's path.
    pub fn body(&self) -> String {
        use FieldErrorKind::*;
        let mut s = self.kind.text().to_string();
        if !matches!(self.kind, Required | Forbidden | TooLong)
            && let Some(v) = &self.value
        {
            // Strings are quoted as Go's %q does; serde_json's quoting is the same for plain text.
            s = format!("{s}: {v}");
        }
        if !self.detail.is_empty() {
            s = format!("{s}: {}", self.detail);
        }
        s
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: About = About { group: "mosdat.dev", plural: "functionaltestruns", kind: "FunctionalTestRun" };

    #[test]
    fn texts_are_those_of_the_real_server() {
        let e = ApiError::not_found(RUNS, "x");
        assert_eq!(e.message, r#"functionaltestruns.mosdat.dev "x" not found"#);
        let one = [FieldError::invalid("spec.foo", "a", "no")];
        let e = ApiError::invalid(RUNS, "x", &one);
        assert_eq!(e.message, r#"FunctionalTestRun.mosdat.dev "x" is invalid: spec.foo: Invalid value: "a": no"#);
        let two = [one[0].clone(), FieldError::required("spec.bar", "")];
        let e = ApiError::invalid(RUNS, "x", &two);
        assert!(e.message.ends_with(r#"is invalid: [spec.foo: Invalid value: "a": no, spec.bar: Required value]"#));
    }
}
