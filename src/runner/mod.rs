//! Carries one scenario out on one desktop; emits events; returns an outcome.
