//! The web page: runs with status, steps and screenshots; read-only.
