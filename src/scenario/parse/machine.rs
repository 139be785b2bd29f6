//! Steps about the VM as a whole, and packages.

use super::super::machine::{Format, Install, Power, Snapshot, Uninstall, is_of_drive};
use super::super::node::{Node, Value};
use super::super::vocabulary as v;
use super::Parser;

/// Longest name of a snapshot that Proxmox takes.
const LONGEST: usize = 40;

impl Parser<'_> {
    pub(super) fn snapshot(&mut self, node: &Node) -> Option<Snapshot> {
        if !matches!(node.value, Value::Map(_)) {
            let name = self.snapshot_name(node, "'snapshot'")?;
            return Some(Snapshot {
                name,
                memory: true,
                attempts: 1,
            });
        }
        let fields = self.fields(node, "snapshot", v::SNAPSHOT)?;
        let memory = match fields.get("memory") {
            Some(n) => self.boolean(n, "'memory'")?,
            None => true,
        };
        let attempts = match fields.get("attempts") {
            Some(n) => self.integer(n, "'attempts'", 1, 10)?,
            None => 1,
        };
        let name = self.required(node, &fields, "name", "snapshot")?;
        let name = self.snapshot_name(name, "'name'")?;
        Some(Snapshot {
            name,
            memory,
            attempts: u32::try_from(attempts).unwrap_or(1),
        })
    }

    /// As Proxmox takes it: a letter, then letters, digits, `-` and `_`.
    pub(super) fn snapshot_name(&mut self, node: &Node, what: &str) -> Option<String> {
        let name = self.literal(node, what)?.to_string();
        let rest = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let good = (2..=LONGEST).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(rest)
            && name != "current";
        if !good {
            self.problem(
                &node.place,
                format!(
                    "{what} is a name as Proxmox takes it (2 to {LONGEST} letters, digits, - and _, a letter first, not \
                     'current'), unlike '{name}'"
                ),
            );
            return None;
        }
        Some(name)
    }

    pub(super) fn power(&mut self, node: &Node) -> Option<Power> {
        match self.choice(node, "'power'", v::POWERS)? {
            "start" => Some(Power::Start),
            "shutdown" => Some(Power::Shutdown),
            _ => Some(Power::Stop),
        }
    }

    pub(super) fn install(&mut self, node: &Node) -> Option<Install> {
        if !matches!(node.value, Value::Map(_)) {
            let package = self.text(node, "'install'")?;
            let format = self.format_of(node, &package)?;
            self.package_file(node, &package, format)?;
            return Some(Install {
                package,
                format,
                version: None,
            });
        }
        let fields = self.fields(node, "install", v::INSTALL)?;
        let version = match fields.get("version") {
            Some(n) => Some(self.text(n, "'version'")?),
            None => None,
        };
        let given = match fields.get("format") {
            Some(n) => Some(self.format(n)?),
            None => None,
        };
        let place = self.required(node, &fields, "package", "install")?;
        let package = self.text(place, "'package'")?;
        let format = match given {
            Some(format) => format,
            None => self.format_of(place, &package)?,
        };
        self.package_file(place, &package, format)?;
        Some(Install {
            package,
            format,
            version,
        })
    }

    /// What no store knows is a file.
    fn package_file(&mut self, node: &Node, package: &str, format: Format) -> Option<()> {
        let stored = matches!(format, Format::Snap | Format::Flatpak);
        let windows = matches!(format, Format::Exe | Format::Msi);
        let whole = match windows {
            true => is_of_drive(package),
            false => package.starts_with('/'),
        };
        if !stored && !self.is_unfilled(package) && !whole {
            let like = if windows {
                " such as C:\\Users\\Public\\setup.exe"
            } else {
                ""
            };
            self.problem(
                &node.place,
                format!(
                    "a package of format {} is a file in the guest, with its whole path{like} (a step 'stage' or 'shell' \
                     puts it there), unlike '{package}'",
                    format.as_str()
                ),
            );
            return None;
        }
        Some(())
    }

    pub(super) fn uninstall(&mut self, node: &Node) -> Option<Uninstall> {
        if !matches!(node.value, Value::Map(_)) {
            let name = self.package_name(node, "'uninstall'", None)?;
            return Some(Uninstall { name, format: None });
        }
        let fields = self.fields(node, "uninstall", v::UNINSTALL)?;
        let format = match fields.get("format") {
            Some(n) => Some(self.format(n)?),
            None => None,
        };
        let name = self.required(node, &fields, "name", "uninstall")?;
        let name = self.package_name(name, "'name'", format)?;
        Some(Uninstall { name, format })
    }

    fn package_name(&mut self, node: &Node, what: &str, format: Option<Format>) -> Option<String> {
        let name = self.text(node, what)?;
        // What programs of Windows are called in the list of those that are installed.
        if matches!(format, Some(Format::Exe | Format::Msi)) {
            return Some(name);
        }
        if !self.is_unfilled(&name) && (name.contains(['/', ' ', '\n']) || name.starts_with('-')) {
            self.problem(
                &node.place,
                format!("{what} is the name of an installed package as its manager lists it, not '{name}' (with 'format: exe' or 'format: msi' \
                     it is the name of a program of Windows, which may have spaces)"),
            );
            return None;
        }
        Some(name)
    }

    fn format(&mut self, node: &Node) -> Option<Format> {
        let word = self.choice(node, "'format'", v::FORMATS)?;
        Format::ALL.iter().copied().find(|f| f.as_str() == word)
    }

    fn format_of(&mut self, node: &Node, package: &str) -> Option<Format> {
        let found = Format::of(package);
        if found.is_none() && self.is_unfilled(package) {
            // The name is not known yet; asked again when it is.
            return Some(Format::Deb);
        }
        if found.is_none() {
            let known: Vec<String> = Format::ALL.iter().map(|f| format!(".{}", f.as_str())).collect();
            self.problem(
                &node.place,
                format!(
                    "'{package}' does not end with a known format ({}); say it with 'format'",
                    known.join(", ")
                ),
            );
        }
        found
    }
}
