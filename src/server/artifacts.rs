//! Serving files of the evidence folder.

use super::Shared;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::path::{Component, PathBuf};
use std::sync::Arc;

/// One file below the evidence folder.
pub(super) async fn file(State(s): State<Arc<Shared>>, Path(path): Path<String>) -> Response {
    let Some(relative) = inside(&path) else {
        return (StatusCode::BAD_REQUEST, "not a path of an artifact").into_response();
    };
    // The first folder is the namespace: a page for one namespace shows no other's evidence.
    if s.namespace.as_ref().is_some_and(|n| !relative.starts_with(n)) {
        return (StatusCode::NOT_FOUND, "this page shows another namespace").into_response();
    }
    let full = s.artifacts.join(relative);
    // A link in the folder must not lead out of it.
    let (Ok(root), Ok(full)) = (
        tokio::fs::canonicalize(&s.artifacts).await,
        tokio::fs::canonicalize(&full).await,
    ) else {
        return (StatusCode::NOT_FOUND, "no such artifact").into_response();
    };
    if !full.starts_with(&root) || !full.is_file() {
        return (StatusCode::NOT_FOUND, "no such artifact").into_response();
    }
    match tokio::fs::read(&full).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, content_type(&path))], bytes).into_response(),
        Err(e) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("cannot read the artifact: {e}"),
        )
            .into_response(),
    }
}

/// The path as one that only goes down; `None` for anything else.
pub(super) fn inside(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(path);
    path.components()
        .all(|c| matches!(c, Component::Normal(_)))
        .then_some(path)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("png") => "image/png",
        Some("jpg") => "image/jpeg",
        Some("webm") => "video/webm",
        Some("xml") => "application/xml",
        Some("jsonl") => "application/jsonl",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn a_path_cannot_leave_the_folder() {
        assert!(inside("a/b.png").is_some());
        for bad in ["../x", "a/../../x", "/etc/passwd"] {
            assert!(inside(bad).is_none(), "{bad}");
        }
    }
}
