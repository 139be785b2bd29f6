//! Telling files of other tools from scenarios, in a folder that is looked through.

use super::error::{Place, Problem, Problems};
use super::node::{Entry, Node, Value};
use super::{vocabulary, yaml};

/// Words of which a scenario or a file of routines has one, and a manifest another. Those that many tools have (`name`,
/// `description`, `variables`, `outputs`) tell nothing.
const OURS: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "steps",
    "setup",
    "cleanup",
    "routines",
    "imports",
    "inputs",
    "phases",
    "budget",
    "platforms",
    "references",
];

/// How alike a word has to be to be one of ours that is misspelt: `stepz` is, `stages` is not.
const MISSPELT: f64 = 0.9;

/// What to say of a file that is evidently another tool's, if it is: no word of its documents is one of ours or nearly one.
/// In a list those of steps are ours too, for it may be steps that lack what should stand around them.
pub fn of_other_tool(origin: &str, text: &str) -> Option<Problem> {
    let documents = yaml::read(text, &mut Problems::new(origin))?;
    let foreign = !documents.is_empty() && documents.iter().all(is_foreign);
    foreign.then(|| Problem {
        origin: origin.to_string(),
        place: Place::Whole,
        message: "this is neither a scenario nor routines nor a manifest: it has none of their words".into(),
    })
}

fn is_foreign(document: &Node) -> bool {
    match &document.value {
        Value::Map(entries) => has_none(entries, OURS),
        Value::Seq(items) => {
            let words = [OURS, &vocabulary::action_names()].concat();
            let foreign = |item: &Node| matches!(&item.value, Value::Map(entries) if has_none(entries, &words));
            !items.is_empty() && items.iter().all(foreign)
        }
        _ => false,
    }
}

/// Whether there are words, and none of them is meant as one of these.
fn has_none(entries: &[Entry], words: &[&str]) -> bool {
    let known = |key: &str| {
        let alike = |word: &str| strsim::jaro_winkler(&word.to_lowercase(), &key.to_lowercase());
        words.iter().any(|word| alike(word) >= MISSPELT)
    };
    !entries.is_empty() && !entries.iter().any(|e| known(&e.key))
}

#[cfg(test)]
mod tests {
    use super::of_other_tool;

    #[test]
    fn other_tools_are_told_from_mistakes() {
        for foreign in [
            "replicaCount: 1\nimage: {repository: x}\n",
            "name: web\nversion: '3'\nservices: {a: {image: b}}\nvolumes: {}\n",
            "stages: [build]\nvariables: {A: b}\nbuild: {script: [make]}\n",
            "resources: [a.yaml]\nimages: []\nnamePrefix: x\n",
            "site_name: x\nnav: []\n---\na: 1\n",
            "- hosts: all\n  tasks: []\n",
            "- apiGroups: [a]\n  resources: [b]\n  verbs: [get]\n",
        ] {
            assert!(of_other_tool("x.yaml", foreign).is_some(), "{foreign}");
        }
        for ours in [
            "name: t\nsteps: [{note: x}]\n",
            "name: t\nstepz: [{note: x}]\n",
            "name: t\nstpes: [{note: x}]\n",
            "Steps: [{note: x}]\n",
            "name: t\ninput: {a: {type: string}}\n",
            "routine: {a: {steps: []}}\n",
            "kind: Scenario\n",
            "apiversion: mosdat.dev/v1alpha1\n",
            "replicaCount: 1\n---\nname: t\nsteps: []\n",
            "- click: Save\n",
            "- clik: Save\n",
            "- a: b\n- key: f5\n",
            "- click:Save\n",
            "[]",
            "text",
            "a: [1\n",
            "",
        ] {
            assert!(of_other_tool("x.yaml", ours).is_none(), "{ours}");
        }
    }
}
