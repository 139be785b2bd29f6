//! The loader: every error with its place and words; plans; ids; digests.

mod errors;
mod examples;
mod flow;
mod noise;
mod plan;
mod schema;
