//! Commands and files inside the VM.
