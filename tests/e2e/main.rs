//! End to end: the binary as a person runs it, on the lab, with the embedded control plane and with a real one.
//!
//! The tests share one machine and its two cores, so they run one after another (`--test-threads=1` in the Makefile);
//! each starts and stops what it needs.

mod bad_input;
mod demo;
mod harness;
mod looking;
#[path = "../support/kube.rs"]
mod support;
mod real_kube;
mod recovery;
