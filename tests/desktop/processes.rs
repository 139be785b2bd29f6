//! Child processes that never outlive their test.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child that is killed and reaped on drop.
pub struct Process(pub Child);

impl Process {
    pub fn start(command: &mut Command) -> Process {
        let child = command.stdin(Stdio::null()).spawn();
        Process(child.unwrap_or_else(|e| panic!("cannot start {:?}: {e} (is it installed?)", command.get_program())))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Polls until `probe` gives a value, at most `seconds`.
pub async fn wait_for<T>(what: &str, seconds: u64, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(
            start.elapsed() < Duration::from_secs(seconds),
            "{what}: not within {seconds} s"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a file holds `text` and gives its contents.
pub async fn wait_for_text(file: &Path, text: &str, seconds: u64) -> String {
    let mut last = String::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        last = std::fs::read_to_string(file).unwrap_or_default();
        if last.contains(text) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!(
        "{} does not hold {text:?} after {seconds} s; it holds {last:?}",
        file.display()
    );
}
