//! Whatever the text is, the loader answers; it never panics and never says nothing.

use mosdat::scenario::Scenario;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const WORDS: &[&str] = &[
    "{{ user }}",
    "{{",
    "}}",
    "click",
    "clik",
    ": ",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    "'",
    "\"",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!!str ",
    "|\n",
    ">\n",
    "# ",
    "\t",
    "ä",
    "日",
    "\u{0}",
    "1s",
    "ctrl+",
    "+",
    "\\",
    "expect",
    "shell",
    "not",
    "any",
    "timeout",
    "---\n",
    "null",
    "~",
    "-1",
    "1e999",
    ".",
    "<<: ",
];

#[test]
fn damaged_scenarios_give_errors_or_load() {
    let good = include_str!("../../examples/quickstart/scenario.yaml");
    let mut loaded = 0;
    for seed in 0..3000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut text: Vec<char> = good.chars().collect();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..text.len());
            match rng.random_range(0..3) {
                0 => drop(text.drain(at..(at + rng.random_range(1..12)).min(text.len()))),
                1 => {
                    let word = WORDS[rng.random_range(0..WORDS.len())];
                    text.splice(at..at, word.chars());
                }
                _ => {
                    let from = rng.random_range(0..text.len());
                    let piece: Vec<char> = text[from..(from + 40).min(text.len())].to_vec();
                    text.splice(at..at, piece);
                }
            }
        }
        let text: String = text.into_iter().collect();
        match Scenario::from_str("noise.yaml", &text) {
            Ok(scenario) => {
                loaded += 1;
                let _ = scenario.plan(&Default::default(), &Default::default());
                let _ = scenario.lint();
                scenario
                    .to_spec()
                    .unwrap_or_else(|e| panic!("seed {seed}: loads, but is no spec: {e}\n{text}"));
            }
            Err(errors) => {
                assert!(!errors.0.is_empty(), "seed {seed}");
                for problem in &errors.0 {
                    assert!(
                        !problem.message.is_empty() && !problem.to_string().contains('\u{0}'),
                        "seed {seed}: {problem}"
                    );
                }
            }
        }
    }
    assert!(loaded > 0, "some damage is in comments and descriptions");
}
