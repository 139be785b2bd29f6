//! What a run leaves behind: event log, screenshots, report, JUnit.
