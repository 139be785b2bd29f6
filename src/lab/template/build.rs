//! Building the template: packages to root directory to disk image, in a temporary directory that is renamed at the end.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::run::{Run, check_tools};
use super::{BuildOptions, Manifest, Progress, Template, directory, kernel, mirror, ram, recipe};
use crate::lab::{Error, Result, default_cache_dir};

/// Free disk space that a build needs, MiB.
const NEEDED_MIB: u64 = 3072;

/// Builds the template and its RAM state, or returns what is cached already.
///
/// # Errors
/// Not root, a missing program, too little disk space, an unreachable mirror: each says what to do.
pub async fn build(options: BuildOptions, progress: impl Fn(Progress) + Send + Sync) -> Result<Template> {
    let cache = options.cache_dir.clone().unwrap_or_else(default_cache_dir);
    let run = Run {
        progress: &progress,
        started: Instant::now(),
        phase: Mutex::new("check"),
    };
    run.enter("check");
    check_tools()?;
    std::fs::create_dir_all(cache.join("templates")).map_err(Error::io("create", &cache))?;
    let _lock = lock(&cache, &run).await?;
    let template = match Template::find(&cache)? {
        Some(t) => {
            run.tell("the template is cached");
            t
        }
        None => make(&cache, &run).await?,
    };
    if !options.no_ram_state {
        ram::ensure(&template, &run).await?;
    }
    run.enter("done");
    Ok(template)
}

/// One build at a time per cache: a second one waits and then finds the first one's work.
async fn lock(cache: &Path, run: &Run<'_>) -> Result<std::fs::File> {
    let path = cache.join("build.lock");
    let file = std::fs::File::create(&path).map_err(Error::io("create", &path))?;
    if file.try_lock().is_ok() {
        return Ok(file);
    }
    run.tell("waiting for another build");
    tokio::task::spawn_blocking(move || file.lock().map(|()| file))
        .await
        .map_err(|e| Error::BadFile {
            path: path.clone(),
            why: e.to_string(),
        })?
        .map_err(Error::io("lock", path))
}

async fn make(cache: &Path, run: &Run<'_>) -> Result<Template> {
    // SAFETY: geteuid has no preconditions and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return Err(Error::NotRoot {
            what: "building the template",
        });
    }
    check_space(cache, NEEDED_MIB)?;
    let release = Path::new("/etc/os-release");
    let suite = mirror::suite(&std::fs::read_to_string(release).map_err(Error::io("read", release))?)?;
    let args = ["indextargets", "--format", mirror::FORMAT, "Created-By: Packages"];
    let mirror = mirror::parse(&suite, &run.command("apt-get", &args).await?)?;
    remove_leftovers(&cache.join("templates"))?;

    let work = tempfile::Builder::new()
        .prefix(".building-")
        .tempdir_in(cache.join("templates"))
        .map_err(Error::io("create a directory in", cache))?;
    let (root, out, debs) = (
        work.path().join("root"),
        work.path().join("out"),
        work.path().join("debs"),
    );
    for dir in [&out, &debs] {
        std::fs::create_dir(dir).map_err(Error::io("create", dir))?;
    }
    run.enter("packages");
    packages(run, &mirror, &root, &debs, work.path()).await?;
    run.enter("kernel");
    let kernel = kernel::make(run, &debs, work.path(), &out).await?;
    run.enter("guest files");
    guest_files(run, &root).await?;
    run.enter("disk image");
    disk(run, &root, work.path(), &out.join("base.qcow2")).await?;
    let image = out.join("base.qcow2");
    let (image_sha256, image_bytes) =
        tokio::task::spawn_blocking(move || hash(&image))
            .await
            .map_err(|e| Error::BadFile {
                path: out.clone(),
                why: e.to_string(),
            })??;
    let manifest = Manifest {
        key: recipe::key(&suite),
        suite,
        kernel,
        image_sha256,
        image_bytes,
        disk_mib: recipe::DISK_MIB,
        build_seconds: run.started.elapsed().as_secs_f64(),
        created: jiff::Timestamp::now().as_second(),
    };
    let path = out.join("manifest.json");
    let text = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::BadFile {
        path: path.clone(),
        why: e.to_string(),
    })?;
    std::fs::write(&path, text).map_err(Error::io("write", &path))?;
    let dir = directory(cache)?;
    if dir.exists() {
        // A directory without a manifest is no template; nothing can stand on it.
        std::fs::remove_dir_all(&dir).map_err(Error::io("remove", &dir))?;
    }
    std::fs::rename(&out, &dir).map_err(Error::io("rename to", &dir))?;
    run.tell(&format!("{} MiB", image_bytes >> 20));
    Ok(Template { dir, manifest })
}

async fn packages(run: &Run<'_>, mirror: &mirror::Mirror, root: &Path, debs: &Path, work: &Path) -> Result<()> {
    // The kernel comes from the same sources as the guest, while mmdebstrap still has their lists.
    let hook = work.join("fetch-kernel");
    let script = format!(
        "#!/bin/sh\nset -e\nmkdir \"$1/kernel-deb\"\nchroot \"$1\" sh -ec 'cd /kernel-deb; p=$(apt-cache depends \
         linux-image-amd64 | sed -n \"s/.*Depends: \\(linux-image-[^ ]*\\).*/\\1/p\" | head -n 1); apt-get download -q -o \
         APT::Sandbox::User=root \"$p\"' >&2\nmv \"$1\"/kernel-deb/*.deb '{}'/\nrmdir \"$1/kernel-deb\"\n",
        debs.display()
    );
    std::fs::write(&hook, script).map_err(Error::io("write", &hook))?;
    std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).map_err(Error::io("chmod", &hook))?;
    // A mount namespace of its own: if the build is killed, nothing stays mounted below its directory, and removing
    // that directory cannot reach the machine's /dev.
    let mut args: Vec<String> = [
        "--mount",
        "--propagation",
        "private",
        "mmdebstrap",
        "--variant=minbase",
        "--mode=root",
    ]
    .map(String::from)
    .to_vec();
    args.push("--aptopt=Apt::Install-Recommends \"false\"".into());
    args.push("--dpkgopt=force-unsafe-io".into());
    args.extend(recipe::EXCLUDED.iter().map(|p| format!("--dpkgopt=path-exclude={p}")));
    args.push(format!("--include={}", recipe::PACKAGES.join(",")));
    args.push(format!("--customize-hook={}", hook.display()));
    args.push(mirror.suite.clone());
    args.push(root.to_string_lossy().into_owned());
    args.extend(mirror.sources.iter().cloned());
    run.command("unshare", &args.iter().map(String::as_str).collect::<Vec<_>>())
        .await
        .map(drop)
}

async fn guest_files(run: &Run<'_>, root: &Path) -> Result<()> {
    for f in recipe::FILES {
        let path = root.join(f.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        // The package's own file may be a link to outside the root directory.
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, f.content).map_err(Error::io("write", &path))?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(f.mode)).map_err(Error::io("chmod", &path))?;
    }
    run.command("chroot", &[&root.to_string_lossy(), "sh", "-c", recipe::FINISH])
        .await?;
    // mmdebstrap made device nodes; the guest's devtmpfs brings its own.
    let dev = root.join("dev");
    std::fs::remove_dir_all(&dev).map_err(Error::io("remove", &dev))?;
    for dir in ["dev", "proc", "sys", "run", "tmp"] {
        std::fs::create_dir_all(root.join(dir)).map_err(Error::io("create", root.join(dir)))?;
    }
    Ok(())
}

async fn disk(run: &Run<'_>, root: &Path, work: &Path, out: &Path) -> Result<()> {
    let raw = work.join("disk.raw");
    let (raw_s, size) = (raw.to_string_lossy(), format!("{}M", recipe::DISK_MIB));
    // A small journal: clones are stopped by pulling the plug.
    let args = [
        "-q",
        "-t",
        "ext4",
        "-m",
        "0",
        "-J",
        "size=8",
        "-E",
        "root_owner=0:0",
        "-d",
    ];
    let mut args: Vec<&str> = args.to_vec();
    let root_s = root.to_string_lossy();
    args.extend([&*root_s, &*raw_s, &*size]);
    run.command("mke2fs", &args).await?;
    run.command("qemu-img", &["convert", "-O", "qcow2", &raw_s, &out.to_string_lossy()])
        .await?;
    Ok(())
}

fn hash(path: &Path) -> Result<(String, u64)> {
    let mut file = std::fs::File::open(path).map_err(Error::io("read", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        let n = std::io::Read::read(&mut file, &mut buffer).map_err(Error::io("read", path))?;
        if n == 0 {
            return Ok((hex::encode(hasher.finalize()), total));
        }
        hasher.update(&buffer[..n]);
        total += n as u64;
    }
}

/// Removes what a killed build left (it holds the lock, so nobody builds now).
fn remove_leftovers(dir: &Path) -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for name in super::run::read_dir_names(dir)? {
        let path: PathBuf = dir.join(&name);
        if name.starts_with(".building-") {
            if mounts.contains(&*path.to_string_lossy()) {
                return Err(Error::BadFile {
                    path,
                    why: "something is mounted in it; unmount it first".into(),
                });
            }
            std::fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Checks the free space of a directory's file system.
pub(super) fn check_space(path: &Path, need_mib: u64) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let c = std::ffi::CString::new(path.as_os_str().as_bytes()).map_err(|e| Error::BadFile {
        path: path.into(),
        why: e.to_string(),
    })?;
    // SAFETY: statvfs is plain data, for which all zeroes is a value; `c` is a terminated string that outlives the call.
    let (rc, s) = unsafe {
        let mut s: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(c.as_ptr(), &mut s), s)
    };
    if rc != 0 {
        return Err(Error::io("check the free space of", path)(
            std::io::Error::last_os_error(),
        ));
    }
    let have_mib = (s.f_bavail * s.f_frsize) >> 20;
    if have_mib < need_mib {
        return Err(Error::NoSpace {
            path: path.into(),
            have_mib,
            need_mib,
        });
    }
    Ok(())
}
