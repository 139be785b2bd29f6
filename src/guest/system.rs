//! What runs in the guest: scripts are for one system or for the other.

/// The system of a guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum System {
    /// Linux, or what is like it: commands are for `sh`.
    #[default]
    Linux,
    /// Windows: commands are for PowerShell.
    Windows,
}

impl System {
    /// By the `id` that the QEMU guest agent tells (guest-get-osinfo).
    pub fn of(id: &str) -> System {
        match id {
            "mswindows" => System::Windows,
            _ => System::Linux,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            System::Linux => "Linux",
            System::Windows => "Windows",
        }
    }

    /// A text of this system with the line ends that everybody else has.
    pub(super) fn lines(self, text: String) -> String {
        match self {
            System::Windows if text.contains("\r\n") => text.replace("\r\n", "\n"),
            _ => text,
        }
    }

    /// Which of two scripts that do the same is the one for this system.
    pub(super) fn script<'s>(self, sh: &'s str, powershell: &'s str) -> &'s str {
        match self {
            System::Linux => sh,
            System::Windows => powershell,
        }
    }
}
