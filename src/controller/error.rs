//! Why a reconcile did not get to its end. It is tried again with back-off.

/// A reconcile's error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Kubernetes API refused or was not reached.
    #[error("Kubernetes: {what}: {source}")]
    Kube {
        /// What was being done.
        what: String,
        /// The client's error.
        #[source]
        source: Box<kube::Error>,
    },
    /// The Proxmox API refused or was not reached.
    #[error(transparent)]
    Proxmox(#[from] crate::proxmox::Error),
    /// A cluster object, its Secret or its settings cannot be used.
    #[error("{0}")]
    Cluster(String),
    /// The Secret of a cluster object does not exist.
    #[error("{0}")]
    SecretGone(String),
    /// An object lacks what the API server always sets.
    #[error("{0}")]
    Malformed(String),
}

impl Error {
    pub(super) fn kube(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Error {
        let what = what.into();
        move |e| Error::Kube {
            what,
            source: Box::new(e),
        }
    }

    /// One word for metrics.
    pub fn class(&self) -> &'static str {
        match self {
            Error::Kube { .. } if self.is_conflict() => "conflict",
            Error::Kube { .. } => "kubernetes",
            Error::Proxmox(e) => e.kind.as_str(),
            Error::Cluster(_) | Error::SecretGone(_) => "cluster",
            Error::Malformed(_) => "malformed",
        }
    }

    /// Whether the object was changed by somebody else meanwhile: read again, decide again.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Error::Kube { source, .. } if code(source) == Some(409))
    }
}

/// HTTP code of an API server's refusal.
pub(super) fn code(e: &kube::Error) -> Option<u16> {
    match e {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}
