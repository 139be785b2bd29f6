//! The loader: every error with its place and words; plans; ids; digests.

mod errors;
mod examples;
mod noise;
mod plan;
mod references;
