//! Questions about a picture: how they are worded, how often they are asked, and what several answers come to.

use super::super::{Error, Judgement, Verdict};
use super::OpenAi;
use super::answer::{self, Answer};
use super::picture::Picture;
use crate::desktop::Frame;
use serde_json::{Value, json};

/// Ways to ask the same: one after the other until the answers settle it. None is the locating prompt's, so that who
/// finds a thing does not judge it in the same words.
const WORDINGS: [(&str, &str); 5] = [
    ("Decide from the picture alone whether this holds:", ""),
    (
        "Somebody claims, or asks, this of what the picture shows:",
        "Look for what speaks for it and for what speaks against it, and then say whether it is so.",
    ),
    (
        "Somebody who cannot see the screen needs to know this:",
        "Tell them only what the picture shows.",
    ),
    (
        "A check of an application says this:",
        "Take nothing for granted that is not to be seen, and say whether it is so.",
    ),
    (
        "This may hold on the screen or may not:",
        "First look for everything on it that has to do with it, then decide.",
    ),
];

/// The largest quorum: each asks in other words.
pub(super) const MOST_ASKED: u32 = WORDINGS.len() as u32;

fn prompt(wording: usize, question: &str) -> String {
    let (before, after) = WORDINGS[wording % WORDINGS.len()];
    let after = if after.is_empty() {
        String::new()
    } else {
        format!("{after}\n")
    };
    format!(
        "The picture is a screenshot of a computer's desktop. {before}\n\
         {question}\n\
         {after}\
         Reply with one JSON object: {{\"evidence\": [what on the picture settles it, short, and words as they are written \
         there], \"answer\": \"true\" or \"false\" or \"cannot_tell\", \"reason\": a short sentence}}. Choose cannot_tell if \
         the picture does not settle it."
    )
}

/// The answer's JSON Schema, for servers that keep models to one.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "evidence": {"type": "array", "items": {"type": "string"}},
            "answer": {"type": "string", "enum": ["true", "false", "cannot_tell"]},
            "reason": {"type": "string"},
        },
        "required": ["evidence", "answer", "reason"],
        "additionalProperties": false,
    })
}

/// What the answers come to, or `None` if the question is to be asked again, in other words. One answer that decides is
/// enough without a quorum, and who cannot tell is asked twice. With one, more than half of it have to say the same.
fn settle(answers: &[Answer], quorum: u32) -> Option<Judgement> {
    let votes = |verdict: Verdict| answers.iter().filter(|a| a.verdict == verdict).count() as u32;
    let (needed, asked) = (quorum / 2 + 1, answers.len() as u32);
    let most = if quorum == 1 { 2 } else { quorum };
    let left = most.saturating_sub(asked);
    for verdict in [Verdict::True, Verdict::False] {
        if votes(verdict) >= needed
            && let Some(first) = answers.iter().find(|a| a.verdict == verdict)
        {
            let how = match quorum {
                1 => String::new(),
                n => format!(" ({} of {asked} answers, {needed} of {n} were needed)", votes(verdict)),
            };
            return Some(Judgement {
                verdict,
                reason: format!("{}{how}", first.reason),
                evidence: vec![],
                named: first.evidence.clone(),
                rung: "vlm",
            });
        }
    }
    let possible = [Verdict::True, Verdict::False].map(|v| votes(v) + left >= needed);
    if left > 0 && possible.contains(&true) {
        return None;
    }
    let said: Vec<String> = answers
        .iter()
        .map(|a| format!("{}: {}", a.verdict.word(), a.reason))
        .collect();
    Some(Judgement {
        verdict: Verdict::CannotTell,
        reason: match quorum {
            1 => format!("asked {asked} times, in other words: {}", said.join("; ")),
            n => format!("no {needed} of {n} answers agree: {}", said.join("; ")),
        },
        evidence: vec![],
        named: vec![],
        rung: "vlm",
    })
}

impl OpenAi {
    /// Answers a question about the frame, asking it in as many ways as it takes.
    pub(super) async fn answer_question(&self, frame: &Frame, question: &str) -> Result<Judgement, Error> {
        let picture = Picture::of(frame, OpenAi::sizing(&self.judge_model))?;
        let mut answers = Vec::new();
        loop {
            let prompt = prompt(answers.len(), question);
            let answer = self.ask(super::JUDGE, &self.judge_model, &picture, &prompt, answer::verdict);
            answers.push(answer.await?);
            if let Some(judgement) = settle(&answers, self.quorum) {
                return Ok(judgement);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{CannotTell, False, True};

    fn settled(verdicts: &[Verdict], quorum: u32) -> Option<Verdict> {
        let answer = |verdict: &Verdict| Answer {
            verdict: *verdict,
            reason: "because".into(),
            evidence: vec!["it".into()],
        };
        let answers: Vec<Answer> = verdicts.iter().map(answer).collect();
        settle(&answers, quorum).map(|j| j.verdict)
    }

    #[test]
    fn without_a_quorum_one_answer_decides_and_doubt_is_asked_twice() {
        for verdict in [True, False] {
            assert_eq!(settled(&[verdict], 1), Some(verdict));
            assert_eq!(settled(&[CannotTell, verdict], 1), Some(verdict));
        }
        assert_eq!(settled(&[CannotTell], 1), None);
        assert_eq!(settled(&[CannotTell, CannotTell], 1), Some(CannotTell));
    }

    #[test]
    fn a_quorum_needs_more_than_half_and_stops_early() {
        assert_eq!(settled(&[True], 3), None);
        assert_eq!(settled(&[True, True], 3), Some(True));
        assert_eq!(settled(&[True, False], 3), None);
        assert_eq!(settled(&[True, False, False], 3), Some(False));
        assert_eq!(settled(&[True, CannotTell], 3), None);
        assert_eq!(settled(&[True, False, CannotTell], 3), Some(CannotTell));
        // Two cannot be had any more.
        assert_eq!(settled(&[CannotTell, CannotTell], 3), Some(CannotTell));
        assert_eq!(settled(&[False, True, True, False], 5), None);
        assert_eq!(settled(&[False, True, True, False, True], 5), Some(True));
    }

    #[test]
    fn each_wording_asks_the_question_and_differs() {
        let all: std::collections::BTreeSet<String> =
            (0..MOST_ASKED as usize).map(|n| prompt(n, "is it red?")).collect();
        assert_eq!(all.len(), MOST_ASKED as usize);
        assert!(all.iter().all(|p| p.lines().nth(1) == Some("is it red?")));
    }
}
