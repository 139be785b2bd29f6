//! Real RPM packages, with the real rpm, in a system of their own within a folder: this machine has another manager.

use super::ways::Way;
use mosdat::guest::{PackageError, install, uninstall};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// Makes a package with one file, and whatever else stands in its description; where it is.
fn package(dir: &Path, version: &str, release: &str, more: &str) -> PathBuf {
    let spec = dir.join("package.spec");
    let text = format!(
        "Name: mosdat-hello\nVersion: {version}\nRelease: {release}\nSummary: says hello\nLicense: none\nBuildArch: noarch\n{more}\n\
         %description\nSays hello.\n%install\nmkdir -p %{{buildroot}}/opt/mosdat-hello\n\
         echo {version} >%{{buildroot}}/opt/mosdat-hello/version\n%files\n/opt/mosdat-hello/version\n"
    );
    std::fs::write(&spec, text).unwrap();
    let built = Command::new("rpmbuild")
        .args(["--quiet", "-bb", "--define"])
        .arg(format!("_topdir {}", dir.join("top").display()))
        .arg("--define")
        .arg(format!("_rpmdir {}", dir.join("packages").display()))
        .arg(&spec)
        .env("HOME", dir)
        .stdout(Stdio::null())
        .status();
    assert!(built.expect("rpm is installed").success());
    dir.join(format!("packages/noarch/mosdat-hello-{version}-{release}.noarch.rpm"))
}

/// A folder of programs with an rpm whose system is `dir/system`, and without dnf, yum and zypper.
fn programs(dir: &Path) -> PathBuf {
    let (programs, system) = (dir.join("programs"), dir.join("system"));
    std::fs::create_dir_all(&programs).unwrap();
    std::fs::create_dir_all(&system).unwrap();
    for name in ["sh", "setsid", "id", "getent", "sed", "sleep", "kill", "cat", "grep"] {
        let real = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
        let real = real
            .iter()
            .find(|path| path.exists())
            .unwrap_or_else(|| panic!("no {name}"));
        symlink(real, programs.join(name)).unwrap();
    }
    let rpm = programs.join("rpm");
    // Debian's refuses to install anything unless it is told twice; the database is no part of this machine.
    let script = format!(
        "#!/bin/sh\nexec /usr/bin/rpm --root '{}' --dbpath /db --force-debian \"$@\"\n",
        system.display()
    );
    std::fs::write(&rpm, script).unwrap();
    std::fs::set_permissions(&rpm, std::fs::Permissions::from_mode(0o755)).unwrap();
    programs
}

both!(rpm_packages_come_change_and_go);

async fn rpm_packages_come_change_and_go(way: Way) {
    let dir = tempfile::tempdir().unwrap();
    way.set_path(&programs(dir.path()).display().to_string());
    let guest = way.guest.as_ref();
    let file = dir.path().join("system/opt/mosdat-hello/version");
    let there = || std::fs::read_to_string(&file).map(|text| text.trim().to_string()).ok();
    let (old, new) = (package(dir.path(), "1.2", "3", ""), package(dir.path(), "2.0", "1", ""));
    // As new, once more, as an upgrade, and back.
    for (package, version) in [(&old, "1.2-3"), (&old, "1.2-3"), (&new, "2.0-1"), (&old, "1.2-3")] {
        let installed = install(guest, "rpm", &package.display().to_string(), LIMIT)
            .await
            .unwrap();
        assert_eq!(
            (installed.name.as_str(), installed.version.as_str()),
            ("mosdat-hello", version)
        );
        assert_eq!(there().as_deref(), version.split('-').next());
    }
    // One that lacks something is refused with rpm's reason, and what was there stays.
    let lacking = package(dir.path(), "3.0", "1", "Requires: no-such-thing");
    let refused = install(guest, "rpm", &lacking.display().to_string(), LIMIT)
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, PackageError::Refused(why) if why.contains("no-such-thing is needed by mosdat-hello")),
        "{refused}"
    );
    assert_eq!(there().as_deref(), Some("1.2"));
    // A file that is no package is no trouble of the guest's.
    let broken = dir.path().join("broken.rpm");
    std::fs::write(&broken, "no package").unwrap();
    let refused = install(guest, "rpm", &broken.display().to_string(), LIMIT)
        .await
        .unwrap_err();
    assert!(matches!(refused, PackageError::Refused(_)), "{refused}");

    let removed = uninstall(guest, Some("rpm"), "mosdat-hello", LIMIT).await.unwrap();
    assert_eq!(removed.version, "1.2-3");
    assert_eq!(there(), None);
    let gone = uninstall(guest, Some("rpm"), "mosdat-hello", LIMIT).await.unwrap_err();
    assert!(matches!(&gone, PackageError::Refused(_)), "{gone}");
}
