//! Why a step did not pass, and what that says about the run.

use crate::api::{FailureClass, RunFailure, RunResult};
use crate::results::StepOutcome;
use crate::scenario::Section;
use crate::{desktop, guest, vision};

/// Reason of a failure in the set-up.
pub(super) const SETUP_FAILED: &str = "SetupFailed";

/// Reason where the guest lacks what a question needs.
const LACKS: &str = "GuestLacksTool";

/// Why a step did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it speaks about.
    pub kind: Kind,
    /// CamelCase word for programs.
    pub reason: &'static str,
    /// Sentence for people.
    pub message: String,
}

/// What a failure speaks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The product: a check did not hold, or a target was not there.
    Failed,
    /// The product: it took longer than the step's time.
    TimedOut,
    /// The product: it died.
    Crashed,
    /// The infrastructure.
    Error(FailureClass),
    /// The scenario: it asks for what cannot be, on any VM.
    Author,
    /// Somebody ended the run.
    Cancelled,
    /// The run's time was up.
    RunTimedOut,
}

impl Failure {
    /// A failure of the product.
    pub fn failed(reason: &'static str, message: impl Into<String>) -> Failure {
        Failure {
            kind: Kind::Failed,
            reason,
            message: message.into(),
        }
    }

    /// A scenario that asks for what cannot be.
    pub fn author(reason: &'static str, message: impl Into<String>) -> Failure {
        Failure {
            kind: Kind::Author,
            reason,
            message: message.into(),
        }
    }

    /// A failure of the infrastructure.
    pub fn error(class: FailureClass, reason: &'static str, message: impl Into<String>) -> Failure {
        Failure {
            kind: Kind::Error(class),
            reason,
            message: message.into(),
        }
    }

    /// The same, with one more thing that was seen.
    pub fn with(mut self, seen: &str) -> Failure {
        self.message = format!("{}; {seen}", self.message);
        self
    }

    /// True where another attempt may help.
    pub fn is_about_the_product(&self) -> bool {
        matches!(self.kind, Kind::Failed | Kind::TimedOut)
    }

    /// True where the guest lacks what a question needs, so that asking again does not help and other ways may.
    pub fn is_lack(&self) -> bool {
        self.reason == LACKS
    }

    /// What the failure means in this part of the scenario: nothing in the set-up speaks about the product.
    pub fn in_section(self, section: Section) -> Failure {
        match (section, self.kind) {
            (Section::Setup, Kind::Failed | Kind::TimedOut | Kind::Crashed | Kind::RunTimedOut) => Failure {
                kind: Kind::Error(FailureClass::Guest),
                reason: SETUP_FAILED,
                message: format!("the set-up of the test failed ({}): {}", self.reason, self.message),
            },
            _ => self,
        }
    }

    /// The step's outcome.
    pub fn outcome(&self, soft: bool) -> StepOutcome {
        match self.kind {
            Kind::Failed | Kind::TimedOut if soft => StepOutcome::SoftFailed,
            Kind::Failed => StepOutcome::Failed,
            Kind::TimedOut | Kind::RunTimedOut => StepOutcome::TimedOut,
            Kind::Crashed => StepOutcome::Crashed,
            Kind::Error(_) | Kind::Author => StepOutcome::Error,
            Kind::Cancelled => StepOutcome::Skipped,
        }
    }

    /// The run's result where this ended it.
    pub fn result(&self) -> RunResult {
        match self.kind {
            // A step's own time is a demand on the product, like any other check of it.
            Kind::Failed | Kind::TimedOut => RunResult::Failed,
            Kind::Crashed => RunResult::Crashed,
            Kind::Error(_) => RunResult::Error,
            Kind::Author => RunResult::Invalid,
            Kind::Cancelled => RunResult::Cancelled,
            Kind::RunTimedOut => RunResult::TimedOut,
        }
    }

    /// For the run's status.
    pub fn for_status(&self, step: Option<&str>) -> RunFailure {
        RunFailure {
            class: match self.kind {
                Kind::Error(class) => Some(class),
                _ => None,
            },
            reason: self.reason.to_string(),
            message: self.message.clone(),
            step: step.map(String::from),
        }
    }
}

impl From<desktop::Error> for Failure {
    fn from(error: desktop::Error) -> Failure {
        Failure::error(FailureClass::Desktop, "DesktopFailed", error.to_string())
    }
}

impl From<vision::Error> for Failure {
    fn from(error: vision::Error) -> Failure {
        let reason = match error {
            vision::Error::Budget { .. } => "BudgetExceeded",
            _ => "VisionFailed",
        };
        Failure::error(FailureClass::Vision, reason, error.to_string())
    }
}

impl From<guest::Error> for Failure {
    fn from(error: guest::Error) -> Failure {
        let reason = match &error {
            guest::Error::NoSession { .. } => "NoDesktopSession",
            guest::Error::NoTool { .. } | guest::Error::BrokenTool { .. } | guest::Error::UnseenWindow { .. } => LACKS,
            guest::Error::NoProgram { .. } => "NoSuchProgram",
            guest::Error::NoUser { .. } => "NoSuchUser",
            guest::Error::NotLoggedOn { .. } => "NotLoggedOn",
            guest::Error::TooLong { .. } => "CommandTooLong",
            guest::Error::Script { .. } => "GuestScriptFailed",
            guest::Error::Stuck { .. } => "GuestStuck",
            guest::Error::Ssh { .. } => "GuestLinkLost",
            guest::Error::Refused { .. } => "GuestRefusesLogin",
            guest::Error::HostKey { .. } => "HostKeyChanged",
            guest::Error::Link { .. } | guest::Error::ResultLost { .. } => "GuestLinkLost",
        };
        let kind = match (&error, error.is_the_authors()) {
            // As a command that ends with 127: the guest works, and what is to be tested is not in it.
            (guest::Error::NoProgram { .. }, _) => Kind::Failed,
            (_, true) => Kind::Author,
            (_, false) => Kind::Error(FailureClass::Guest),
        };
        Failure {
            kind,
            reason,
            message: error.to_string(),
        }
    }
}
