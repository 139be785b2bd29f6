//! How a run is carried out: as a task in this process.
