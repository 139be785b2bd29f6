//! What steps do with the VM as a whole and with packages.

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name, as Proxmox allows it.
    pub name: String,
    /// With the memory: going back resumes what ran then.
    pub memory: bool,
    /// How often the steps after it are tried, at least 1: where one of them fails, the VM goes back to the checkpoint.
    pub attempts: u32,
}

/// What becomes of the VM's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// On.
    Start,
    /// Off, by the guest itself.
    Shutdown,
    /// Off, at once.
    Stop,
}

impl Power {
    /// The word of the language, which is Proxmox's.
    pub fn as_str(self) -> &'static str {
        match self {
            Power::Start => "start",
            Power::Shutdown => "shutdown",
            Power::Stop => "stop",
        }
    }
}

/// A format of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Debian's.
    Deb,
    /// Red Hat's and SUSE's.
    Rpm,
    /// A program in one file.
    AppImage,
    /// Canonical's.
    Snap,
    /// freedesktop.org's.
    Flatpak,
    /// An installer for Windows, of NSIS or Inno Setup.
    Exe,
    /// Windows Installer's.
    Msi,
}

impl Format {
    /// True for installers of Windows.
    pub fn is_of_windows(self) -> bool {
        matches!(self, Format::Exe | Format::Msi)
    }

    /// All of them.
    pub const ALL: &[Format] = &[
        Format::Deb,
        Format::Rpm,
        Format::AppImage,
        Format::Snap,
        Format::Flatpak,
        Format::Exe,
        Format::Msi,
    ];

    /// The word of the language, and how such a file's name ends.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Deb => "deb",
            Format::Rpm => "rpm",
            Format::AppImage => "appimage",
            Format::Snap => "snap",
            Format::Flatpak => "flatpak",
            Format::Exe => "exe",
            Format::Msi => "msi",
        }
    }

    /// The format of a file of this name.
    pub fn of(path: &str) -> Option<Format> {
        let (_, end) = path.rsplit_once('.')?;
        let end = end.to_ascii_lowercase();
        Format::ALL.iter().copied().find(|f| f.as_str() == end)
    }
}

/// True for a path that begins with a drive of Windows, such as `C:\Users`.
pub fn is_of_drive(path: &str) -> bool {
    matches!(path.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

/// A package to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// A file in the guest; for snap and flatpak also a name that their stores know.
    pub package: String,
    /// Its format.
    pub format: Format,
    /// The version that has to be there afterwards.
    pub version: Option<String>,
}

/// A package to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uninstall {
    /// Its name, as its manager lists it.
    pub name: String,
    /// Its format; none: whichever manager has it.
    pub format: Option<Format>,
}
