//! Reconcilers: one folder per kind, each `observe -> decide -> act`.
