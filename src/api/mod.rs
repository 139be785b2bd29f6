//! Custom resource types, one file per kind.
