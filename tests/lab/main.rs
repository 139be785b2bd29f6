//! The lab, end to end: a template, clones of it, and the API that serves them.

mod template;
