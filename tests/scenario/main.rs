//! The loader: every error with its place and words; plans; ids; digests.

mod corpus;
mod errors;
mod examples;
mod flow;
mod import;
mod lint;
mod lint_command;
mod noise;
mod plan;
mod references;
mod schema;
mod top;
