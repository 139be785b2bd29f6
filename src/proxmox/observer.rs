//! A hook for metrics: told of every request that was sent.

use super::ErrorKind;
use std::time::Duration;

/// One request and how it ended. A retry is a request of its own, and so is logging in.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// HTTP method.
    pub method: &'static str,
    /// Path below `/api2/json` with its names replaced, such as `/nodes/{node}/qemu/{vmid}/status/current`.
    pub path: &'a str,
    /// HTTP status; `None` when there was no answer.
    pub status: Option<u16>,
    /// The class of the failure; `None` when it succeeded.
    pub error: Option<ErrorKind>,
    /// From sending to the end of the answer.
    pub duration: Duration,
}

/// Told of every request. It is called between the answer and its use, so it must be quick.
pub trait Observer: Send + Sync {
    /// A request has ended.
    fn seen(&self, request: &Seen<'_>);
}

impl<F: Fn(&Seen<'_>) + Send + Sync> Observer for F {
    fn seen(&self, request: &Seen<'_>) {
        self(request);
    }
}
