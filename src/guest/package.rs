//! Packages in the guest: each format is a row of commands.

use super::session::failed;
use super::{Command, Error, Exit, Guest, Output, System, windows};
use std::time::Duration;

const QUERY: Duration = Duration::from_secs(60);

/// How packages of a format are handled. In each script `$package` is a file (or what a store knows), `$name` the
/// package's name. All run as root.
struct Manager {
    /// Program that has to be there.
    tool: &'static str,
    /// Prints the name of the package in the file.
    name: &'static str,
    install: &'static str,
    /// Prints the version of what is installed; fails if it is not.
    version: &'static str,
    uninstall: &'static str,
}

// What the package needs comes from the guest's own sources where there are any.
const DEB: Manager = Manager {
    tool: "dpkg",
    name: r#"dpkg-deb -f "$package" Package"#,
    install: r#"export DEBIAN_FRONTEND=noninteractive
if command -v apt-get >/dev/null; then 
  apt-get -o DPkg::Lock::Timeout=60 install -y --allow-downgrades --reinstall "$package"
else dpkg -i "$package"; fi"#,
    version: r#"set -- $(dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$name" 2>/dev/null | grep '^installed ')
[ "$1" = installed ] && echo "$2""#,
    uninstall: r#"export DEBIAN_FRONTEND=noninteractive
if command -v apt-get >/dev/null; then apt-get -o DPkg::Lock::Timeout=60 purge -y "$name"; else dpkg --purge "$name"; fi"#,
};
const RPM: Manager = Manager {
    tool: "rpm",
    name: r#"rpm -qp --qf '%{NAME}' "$package""#,
    // dnf does nothing, and says that all is well, where this version or a later one is there.
    install: r#"format='%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n'
wanted=$(rpm -qp --qf "$format" "$package") || exit
there() { rpm -q --qf "$format" "$name" 2>/dev/null | grep -Fqx "$wanted"; }
for tool in dnf yum; do
  command -v "$tool" >/dev/null || continue
  there && exec "$tool" reinstall -y "$package"
  "$tool" install -y "$package" || exit
  there || exec "$tool" downgrade -y "$package"
  exit 0
done
command -v zypper >/dev/null && exec zypper --non-interactive install --force --allow-unsigned-rpm "$package"
rpm -U --replacepkgs --oldpackage "$package""#,
    version: r#"rpm -q --qf '%{VERSION}-%{RELEASE}' "$name""#,
    uninstall: r#"rpm -e "$name""#,
};
// The file's name without version and architecture; installed, it is a command of that name.
const APPIMAGE: Manager = Manager {
    tool: "install",
    name: r#"base=${package##*/}; base=${base%.*}
echo "$base" | sed -E 's/[-_](x86_64|amd64|aarch64|arm64|i[36]86)$//; s/[-_]v?[0-9][0-9A-Za-z.+~]*$//'"#,
    install: r#"mkdir -p /opt/mosdat /usr/local/bin
install -m 755 "$package" "/opt/mosdat/$name.AppImage" && ln -sf "/opt/mosdat/$name.AppImage" "/usr/local/bin/$name""#,
    version: r#"[ -x "/opt/mosdat/$name.AppImage" ] || exit 1
folder=$(mktemp -d) && cd "$folder" || exit 1
"/opt/mosdat/$name.AppImage" --appimage-extract '*.desktop' >/dev/null 2>&1
version=$(sed -n 's/^X-AppImage-Version=//p' squashfs-root/*.desktop 2>/dev/null | head -n 1)
cd / && rm -rf "$folder"
echo "${version:-unknown}""#,
    uninstall: r#"rm -f "/opt/mosdat/$name.AppImage" "/usr/local/bin/$name""#,
};
const SNAP: Manager = Manager {
    tool: "snap",
    name: r#"base=${package##*/}; echo "${base%%_*}" | sed 's/\.snap$//'"#,
    install: r#"case $package in /*) snap install --dangerous "$package" ;; *) snap install "$package" ;; esac"#,
    version: r#"snap list "$name" 2>/dev/null | awk 'NR == 2 {print $2; found = 1} END {exit !found}'"#,
    uninstall: r#"snap remove --purge "$name""#,
};
// A bundle does not tell its name without being installed: what is new afterwards is it.
const FLATPAK: Manager = Manager {
    tool: "flatpak",
    name: r#"case $package in /*) strings -n 6 "$package" | sed -n 's/^name=//p' | head -n 1 | grep . ;;
*) echo "$package" ;; esac"#,
    install: r#"flatpak install -y --noninteractive --system "$package""#,
    version: r#"info=$(LC_ALL=C flatpak info "$name" 2>/dev/null) || exit 1
version=$(printf '%s\n' "$info" | sed -n 's/^ *Version: *//p')
echo "${version:-unknown}""#,
    uninstall: r#"flatpak uninstall -y --noninteractive --system "$name""#,
};

fn manager(format: &str) -> &'static Manager {
    match format {
        "rpm" => &RPM,
        "appimage" => &APPIMAGE,
        "snap" => &SNAP,
        "flatpak" => &FLATPAK,
        _ => &DEB,
    }
}

/// A package that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// Its version, as its manager tells it.
    pub version: String,
    /// True where the guest has to be started anew before all of it works.
    pub restart: bool,
}

/// Why a package was not installed or removed.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The guest's trouble, or the link's.
    #[error(transparent)]
    Guest(#[from] Error),
    /// The guest has no manager for the format.
    #[error("the guest has no {tool}, which packages of format {format} need")]
    NoManager {
        /// The format.
        format: String,
        /// The program that is missing.
        tool: &'static str,
    },
    /// It is a format of another system's packages.
    #[error("a package of format {format} is none for the guest, which is {system}")]
    OtherSystem {
        /// The format.
        format: String,
        /// What the guest is.
        system: &'static str,
    },
    /// What should be installed is not in the guest.
    #[error("there is no file {0} in the guest")]
    NoFile(String),
    /// The manager could not work, whatever the package is like.
    #[error("{trouble}: {told}")]
    Surroundings {
        /// What is wrong in the guest.
        trouble: &'static str,
        /// What the manager said.
        told: String,
    },
    /// Not what mosdat installs or removes, whatever it is like otherwise.
    #[error("{0}")]
    Unsupported(String),
    /// The manager said no.
    #[error("{0}")]
    Refused(String),
    /// It took too long.
    #[error("{0} did not end in time")]
    Late(String),
}

struct Work<'a> {
    guest: &'a dyn Guest,
    format: &'a str,
    package: &'a str,
    name: String,
}

impl Work<'_> {
    async fn output(&self, script: &str, timeout: Duration) -> Result<Output, Error> {
        let env = [
            ("package".to_string(), self.package.to_string().into()),
            ("name".to_string(), self.name.clone().into()),
        ];
        self.guest.exec(Command::script(script, timeout).with_env(env)).await
    }

    /// What a question is answered with; none where the answer is no.
    async fn ask(&self, doing: &str, script: &str) -> Result<Result<String, Output>, Error> {
        let output = self.output(script, QUERY).await?;
        match output.exit {
            Exit::Code(0) => Ok(Ok(output.stdout.trim().to_string())),
            Exit::Code(_) => Ok(Err(output)),
            _ => Err(failed(doing, &output)),
        }
    }

    /// Has the manager change something.
    async fn change(&self, doing: &str, script: &str, timeout: Duration) -> Result<(), PackageError> {
        let output = self.output(script, timeout).await?;
        match output.exit {
            Exit::Code(0) => Ok(()),
            Exit::TimedOut => Err(late(doing, &output)),
            _ => Err(refusal(doing, &output)),
        }
    }

    async fn is_handled(&self) -> Result<(), PackageError> {
        let tool = manager(self.format).tool;
        let script = format!("command -v {tool} >/dev/null");
        match self.ask("looking for the package manager", &script).await? {
            Ok(_) => Ok(()),
            Err(_) => Err(PackageError::NoManager {
                format: self.format.to_string(),
                tool,
            }),
        }
    }

    /// Where it is a file, that it is there.
    async fn is_there(&self) -> Result<(), PackageError> {
        let script = r#"case $package in /*) [ -f "$package" ] ;; esac"#;
        match self.ask("looking for the package", script).await? {
            Ok(_) => Ok(()),
            Err(_) => Err(PackageError::NoFile(self.package.to_string())),
        }
    }

    async fn version(&self) -> Result<Option<String>, PackageError> {
        let answer = self.ask("asking for the version", manager(self.format).version).await?;
        Ok(answer.ok())
    }
}

fn refusal(doing: &str, output: &Output) -> PackageError {
    // Managers tell the reason on either stream, mostly at the end.
    let both = format!("{}\n{}", output.stdout.trim(), output.stderr.trim());
    let lines: Vec<&str> = both.lines().filter(|l| !l.trim().is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(4)..].join("; ");
    let told = format!("{doing} ended with {}: {tail}", output.exit);
    match not_the_package(&both) {
        Some(trouble) => PackageError::Surroundings { trouble, told },
        None => PackageError::Refused(told),
    }
}

/// A manager that was killed in the middle. What it waited for is what it told last.
fn late(doing: &str, output: &Output) -> PackageError {
    let last = |text: &str| text.trim_end().lines().last().unwrap_or_default().to_string();
    let told = format!("{}\n{}", last(&output.stdout), last(&output.stderr));
    match not_the_package(&told) {
        Some(trouble) => PackageError::Surroundings {
            trouble,
            told: format!("{doing} did not end in time: {}", told.trim()),
        },
        None => PackageError::Late(doing.to_string()),
    }
}

/// What managers say of trouble that no package is to blame for.
const TROUBLES: [(&str, &[&str]); 4] = [
    (
        "no space is left",
        &[
            "No space left on device",
            "don't have enough free space",
            "more space needed on the",
        ],
    ),
    (
        "another package manager is at work",
        &[
            "Could not get lock",
            "Unable to acquire the dpkg",
            "is locked by another process",
            "was locked by another process",
            "can't create transaction lock",
            "Waiting for process with pid",
            "System management is locked",
            "change in progress",
        ],
    ),
    (
        "snapd is not ready",
        &["too early for operation", "cannot communicate with server"],
    ),
    (
        "the package sources do not answer",
        &[
            "Temporary failure resolving",
            "Could not resolve",
            "Failed to fetch",
            "Failed to download",
            "Cannot download",
            "Cannot prepare internal mirrorlist",
            "Curl error",
            "Network is unreachable",
            "Connection timed out",
            "Unable to load summary from remote",
            "dial tcp",
            "unable to contact snap store",
        ],
    ),
];

/// The trouble in what a manager printed, where it is the guest's and not the package's.
fn not_the_package(printed: &str) -> Option<&'static str> {
    let told = |texts: &[&str]| texts.iter().any(|t| printed.contains(t));
    TROUBLES
        .iter()
        .find(|(_, texts)| told(texts))
        .map(|(trouble, _)| *trouble)
}

/// Formats of packages that Windows installs.
fn is_of_windows(format: &str) -> bool {
    ["exe", "msi"].contains(&format)
}

/// Installs a package (deb, rpm, appimage, snap, flatpak; in Windows exe, msi), and reads back what is there then.
///
/// # Errors
/// There is no manager for it, it refused, took longer than `limit`, or the guest cannot be asked.
pub async fn install(
    guest: &dyn Guest,
    format: &str,
    package: &str,
    limit: Duration,
) -> Result<Installed, PackageError> {
    if is_of_windows(format) != (guest.system() == System::Windows) {
        return Err(PackageError::OtherSystem {
            format: format.to_string(),
            system: guest.system().name(),
        });
    }
    if guest.system() == System::Windows {
        return windows::install(guest, package, limit).await;
    }
    let mut work = Work {
        guest,
        format,
        package,
        name: String::new(),
    };
    work.is_handled().await?;
    work.is_there().await?;
    let m = manager(format);
    let doing = format!("asking {package} for its name");
    work.name = work.ask(&doing, m.name).await?.map_err(|o| refusal(&doing, &o))?;
    work.change(&format!("installing {package}"), m.install, limit).await?;
    let Some(version) = work.version().await? else {
        return Err(PackageError::Refused(format!(
            "{package} was installed without an error, and {} is not there",
            work.name
        )));
    };
    Ok(Installed {
        name: work.name,
        version,
        restart: false,
    })
}

/// Removes a package, and makes sure that it is gone. Without a format whichever manager has it. What was removed.
///
/// # Errors
/// No manager has it, it refused, took longer than `limit`, or the guest cannot be asked.
pub async fn uninstall(
    guest: &dyn Guest,
    format: Option<&str>,
    name: &str,
    limit: Duration,
) -> Result<Installed, PackageError> {
    let system = guest.system();
    if let Some(format) = format.filter(|format| is_of_windows(format) != (system == System::Windows)) {
        return Err(PackageError::OtherSystem {
            format: format.to_string(),
            system: system.name(),
        });
    }
    if system == System::Windows {
        return windows::uninstall(guest, name, limit).await;
    }
    let formats: Vec<&str> = match format {
        Some(format) => vec![format],
        None => vec!["deb", "rpm", "appimage", "snap", "flatpak"],
    };
    for format in &formats {
        let work = Work {
            guest,
            format,
            package: "",
            name: name.to_string(),
        };
        if formats.len() > 1 && matches!(work.is_handled().await, Err(PackageError::NoManager { .. })) {
            continue;
        }
        work.is_handled().await?;
        let Some(version) = work.version().await? else { continue };
        work.change(&format!("removing {name}"), manager(format).uninstall, limit)
            .await?;
        if work.version().await?.is_some() {
            return Err(PackageError::Refused(format!(
                "{name} was removed without an error, and is still there"
            )));
        }
        let name = name.to_string();
        let restart = false;
        return Ok(Installed { name, version, restart });
    }
    Err(PackageError::Refused(format!(
        "no package {name} is installed ({})",
        formats.join(", ")
    )))
}

/// Whether the version that was read back is the wanted one: the same, or the same with a packaging revision, which only
/// deb and rpm have: elsewhere `1.2-beta1` comes before 1.2. Windows programs tell `1.2` as 1.2.0.0, too.
pub fn is_version(format: &str, found: &str, wanted: &str) -> bool {
    let more: &[char] = match format {
        "deb" | "rpm" => &['-', '+'],
        _ => &['+'],
    };
    // Debian's epoch is no part of what people call the version.
    let bare = found.split_once(':').map_or(found, |(_, rest)| rest);
    if is_of_windows(format) && without_zeros(found) == without_zeros(wanted) {
        return true;
    }
    [found, bare].iter().any(|f| {
        f.strip_prefix(wanted)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(more))
    })
}

/// The version without parts at its end that are 0.
fn without_zeros(mut version: &str) -> &str {
    while let Some(shorter) = version.strip_suffix(".0") {
        version = shorter;
    }
    version
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_that_is_not_the_packages() {
        for (printed, trouble) in [
            (
                "dpkg: error: unable to write: No space left on device",
                Some("no space is left"),
            ),
            (
                "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt)",
                Some("another package manager is at work"),
            ),
            (
                "E: Failed to fetch http://mirror/x.deb  Temporary failure resolving 'mirror'",
                Some("the package sources do not answer"),
            ),
            (
                "dpkg: error: dpkg frontend lock was locked by another process with pid 7",
                Some("another package manager is at work"),
            ),
            (
                "error: too early for operation, device not yet seeded or device model not acknowledged",
                Some("snapd is not ready"),
            ),
            (
                "error: cannot communicate with server: Post \"http://localhost/v2/snaps/x\"",
                Some("snapd is not ready"),
            ),
            (
                "error: unable to contact snap store",
                Some("the package sources do not answer"),
            ),
            (
                "The following packages have unmet dependencies: hello : Depends: libfoo",
                None,
            ),
            (
                "dpkg: error processing package hello (--install): post-installation script failed",
                None,
            ),
        ] {
            assert_eq!(not_the_package(printed), trouble, "{printed}");
        }
    }

    #[test]
    fn versions() {
        for (found, wanted, same) in [
            ("1.2", "1.2", true),
            ("1.2-3", "1.2", true),
            ("2:1.2-3", "1.2", true),
            ("2:1.2-3", "2:1.2-3", true),
            ("1.2+b1", "1.2", true),
            // A pre-release of it is not it.
            ("1.2~rc1", "1.2", false),
            ("1.20", "1.2", false),
            ("1.2.1", "1.2", false),
            ("unknown", "1.2", false),
        ] {
            assert_eq!(is_version("deb", found, wanted), same, "{found} for {wanted}");
        }
        for (found, wanted, same) in [
            ("1.2.0.0", "1.2", true),
            ("1.2", "1.2.0", true),
            ("1.2.0.1", "1.2", false),
            ("1.20", "1.2", false),
            ("10.0", "1.0", false),
        ] {
            assert_eq!(is_version("msi", found, wanted), same, "{found} for {wanted}");
            assert!(!is_version("deb", found, wanted), "{found} for {wanted}");
        }
        for format in ["appimage", "snap", "flatpak"] {
            assert!(!is_version(format, "1.2.0-beta1", "1.2.0"), "{format}");
            assert!(is_version(format, "1.2.0-beta1", "1.2.0-beta1") && is_version(format, "1.2.0+7", "1.2.0"));
        }
    }

    #[test]
    fn who_is_late() {
        let killed = |stdout: &str, stderr: &str| Output {
            exit: Exit::TimedOut,
            stdout: stdout.into(),
            stderr: stderr.into(),
            truncated: false,
        };
        let waits =
            "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt)";
        for output in [
            killed(&format!("Reading package lists...\n{waits}\n"), ""),
            killed("Reading package lists...\n", waits),
        ] {
            let error = late("installing x.deb", &output);
            assert!(
                matches!(&error, PackageError::Surroundings { told, .. } if told.contains("did not end in time")),
                "{error}"
            );
        }
        // It got the lock, and hangs in the package's own script.
        let output = killed(&format!("{waits}\nSetting up x (1.2) ...\n"), "");
        assert!(matches!(late("installing x.deb", &output), PackageError::Late(_)));
    }
}
