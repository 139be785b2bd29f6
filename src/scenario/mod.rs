//! The scenario language: loading, checking, templating. No I/O but reading files.
