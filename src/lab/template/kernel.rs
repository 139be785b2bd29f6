//! The guest's kernel: unpacked from its package, never installed; and its initramfs.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::recipe;
use super::run::{Run, read_dir_names};
use crate::lab::{Error, Result};

/// Compressions that Linux wraps its image in: magic bytes and the program that undoes it.
const COMPRESSIONS: &[(&[u8], &[&str])] = &[
    (b"\xfd7zXZ\x00", &["xz", "-dcq", "--single-stream"]),
    (b"\x28\xb5\x2f\xfd", &["zstd", "-dcq"]),
    (b"\x1f\x8b\x08", &["gzip", "-dcq"]),
];

/// Unpacks the kernel package found in `debs` and writes `vmlinux` (uncompressed, for direct PVH boot) and
/// `initrd.gz` into `out`. Returns the kernel's version.
pub(super) async fn make(run: &Run<'_>, debs: &Path, work: &Path, out: &Path) -> Result<String> {
    let deb = read_dir_names(debs)?
        .into_iter()
        .find(|n| n.starts_with("linux-image-") && n.ends_with(".deb"))
        .ok_or_else(|| Error::NoMirror {
            why: "the mirror has no linux-image-amd64".into(),
        })?;
    let tree = work.join("kernel");
    run.command(
        "dpkg-deb",
        &["-x", &debs.join(deb).to_string_lossy(), &tree.to_string_lossy()],
    )
    .await?;
    // Debian's merged-/usr layout moved the modules from /lib to /usr/lib in later releases.
    let modules = [tree.join("usr/lib/modules"), tree.join("lib/modules")]
        .into_iter()
        .find(|p| p.is_dir())
        .ok_or_else(|| Error::NoMirror {
            why: "the kernel package holds no modules".into(),
        })?;
    let version = read_dir_names(&modules)?
        .into_iter()
        .next()
        .ok_or_else(|| Error::NoMirror {
            why: "the kernel package holds no modules".into(),
        })?;
    if modules.starts_with(tree.join("usr")) {
        std::os::unix::fs::symlink("usr/lib", tree.join("lib")).map_err(Error::io("link", tree.join("lib")))?;
    }
    run.command("depmod", &["-b", &tree.to_string_lossy(), &version])
        .await?;
    extract(
        run,
        &tree.join("boot").join(format!("vmlinuz-{version}")),
        &out.join("vmlinux"),
    )
    .await?;
    initramfs(run, &tree, &version, &out.join("initrd.gz")).await?;
    Ok(version)
}

async fn extract(run: &Run<'_>, vmlinuz: &Path, vmlinux: &Path) -> Result<()> {
    let image = std::fs::read(vmlinuz).map_err(Error::io("read", vmlinuz))?;
    for (magic, program) in COMPRESSIONS {
        let mut from = 0;
        while let Some(at) = find(&image[from..], magic) {
            from += at + 1;
            // The program stops at the end of its stream and may complain about what follows.
            let plain = run.filter(program, &image[from - 1..]).await?;
            if plain.starts_with(b"\x7fELF") {
                return std::fs::write(vmlinux, plain).map_err(Error::io("write", vmlinux));
            }
        }
    }
    Err(Error::BadFile {
        path: vmlinuz.into(),
        why: "no compressed kernel found in it".into(),
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

async fn initramfs(run: &Run<'_>, tree: &Path, version: &str, out: &Path) -> Result<()> {
    let mut order: Vec<PathBuf> = Vec::new();
    for module in recipe::MODULES {
        let args = ["-d", &tree.to_string_lossy(), "-S", version, "--show-depends", module];
        let text = run.command("modprobe", &args).await?;
        for path in text.lines().filter_map(|l| l.strip_prefix("insmod ")) {
            let path = PathBuf::from(path.split_whitespace().next().unwrap_or_default());
            if !order.contains(&path) {
                order.push(path);
            }
        }
    }
    let mut cpio = Cpio::default();
    for dir in ["bin", "m", "proc", "sys", "dev", "root"] {
        cpio.add(dir, 0o040_755, b"");
    }
    let busybox = Path::new("/bin/busybox");
    cpio.add(
        "bin/busybox",
        0o100_755,
        &std::fs::read(busybox).map_err(Error::io("read", busybox))?,
    );
    cpio.add("init", 0o100_755, recipe::INITRAMFS_INIT.as_bytes());
    cpio.add("probe", 0o100_755, recipe::INITRAMFS_PROBE.as_bytes());
    let mut names = String::new();
    for path in order {
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (name, bytes) = match name.strip_suffix(".xz") {
            Some(plain) => (plain.to_owned(), run.filter(&["xz", "-dcq"], &bytes).await?),
            None => (name, bytes),
        };
        cpio.add(&format!("m/{name}"), 0o100_644, &bytes);
        names.push_str(&name);
        names.push('\n');
    }
    cpio.add("m/order", 0o100_644, names.as_bytes());
    let file = std::fs::File::create(out).map_err(Error::io("create", out))?;
    let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::new(6));
    gz.write_all(&cpio.finish())
        .and_then(|()| gz.finish().map(drop))
        .map_err(Error::io("write", out))
}

/// A cpio archive in the "newc" form (Linux: Documentation/driver-api/early-userspace/buffer-format.rst).
#[derive(Default)]
struct Cpio {
    bytes: Vec<u8>,
    inode: u32,
}

impl Cpio {
    fn add(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.inode += 1;
        let fields = [
            self.inode,
            mode,
            0,
            0,
            1,
            0,
            content.len() as u32,
            0,
            0,
            0,
            0,
            name.len() as u32 + 1,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for f in fields {
            self.bytes.extend_from_slice(format!("{f:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, b"");
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpio_is_aligned_and_ends_with_the_trailer() {
        let mut c = Cpio::default();
        c.add("a", 0o100_644, b"xyz");
        let bytes = c.finish();
        assert_eq!(bytes.len() % 4, 0);
        assert!(bytes.starts_with(b"070701"));
        // header 110 bytes + "a\0" = 112, content 3 bytes padded to 4
        assert_eq!(&bytes[112..116], b"xyz\0");
        assert_eq!(&bytes[116..122], b"070701");
        assert!(find(&bytes, b"TRAILER!!!").is_some());
    }
}
