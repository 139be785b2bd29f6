#!/usr/bin/env bash
# Installs what is missing on a bare Debian machine, and says what and why in one line each.
#   tools/setup.sh build    what `cargo build` needs
#   tools/setup.sh demo     build + the lab (QEMU, template tools) + the OCR models
#   tools/setup.sh test     demo + what only the tests need
# With nothing missing it is silent and takes well under a second.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

RUST_WANTED=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

# The version of cargo, or nothing.
rust_have() { { cargo --version 2>/dev/null || true; } | awk '{print $2}'; }
rust_is_new_enough() { version_at_least "$(rust_have)" "$RUST_WANTED"; }

setup_build() {
  if ! command -v cc >/dev/null; then apt_ensure "cargo links with it" gcc libc6-dev; fi
  if rust_is_new_enough; then return; fi
  local have
  have=$(rust_have)

  say "Rust $RUST_WANTED or later is needed (found: ${have:-none})"
  if ! command -v rustup >/dev/null && [ -n "$(apt_candidate rustup)" ]; then
    apt_ensure "brings Rust $RUST_WANTED" rustup || true
  fi
  if command -v rustup >/dev/null; then
    rustup toolchain install "$RUST_WANTED" --profile minimal --component rustfmt --component clippy ||
      die "rustup could not install Rust $RUST_WANTED; install it by hand, then run this again"
    # Only for this repository: somebody else's default toolchain is not ours to change.
    rustup override set "$RUST_WANTED" >/dev/null
  else
    # A Debian that is new enough has it as a package.
    local candidate
    candidate=$(apt_candidate cargo)
    if [ -n "$candidate" ] && version_at_least "${candidate%%+*}" "$RUST_WANTED"; then
      apt_ensure "the Rust compiler" cargo rustc rustfmt rust-clippy
    fi
  fi
  hash -r
  rust_is_new_enough ||
    die "Rust $RUST_WANTED or later is needed (found: ${have:-none}) and neither rustup nor a new enough Debian package is here: install rustup, then run this again"
}

# The plain package first. A machine that has qemu-utils from backports refuses it (the versions must match);
# then the emulator comes from backports too, by the mirror that the machine already uses.
setup_qemu() {
  [ -n "$(missing_packages qemu-system-x86 qemu-utils)" ] || return 0
  apt_ensure "the lab's virtual machines" qemu-system-x86 qemu-utils 2>/dev/null ||
    apt_ensure_backports "the installed qemu-utils is from there" qemu-system-x86 qemu-utils ||
    die "QEMU could not be installed; the messages of apt are above"
}

setup_lab() {
  setup_qemu
  apt_ensure "builds the lab's desktop template" mmdebstrap cpio busybox-static kmod xz-utils
}

setup_models() {
  if ! python3 -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("pip"))' 2>/dev/null; then
    apt_ensure "fetches the OCR models" python3 python3-pip
  fi
  tools/fetch-models.sh
}

setup_python() {
  local want stamp=.venv/.requirements
  want=$(sha256sum <tests/requirements.txt)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && [ -x .venv/bin/python ]; then return; fi
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_ensure "Python environment of the tests" python3-venv
  say "installing the tests' Python packages into .venv"
  rm -rf .venv
  python3 -m venv .venv
  .venv/bin/pip install -q --disable-pip-version-check --require-hashes -r tests/requirements.txt
  echo "$want" >"$stamp"
}

setup_test() {
  apt_ensure "an X desktop for the tests" tigervnc-standalone-server openbox xterm xdotool xclip x11-apps x11-utils x11-xkb-utils x11-xserver-utils imagemagick
  apt_ensure "videos of runs, and backtraces of cores" ffmpeg gdb
  apt_ensure "a real SSH server for the tests" openssh-server openssh-client
  apt_ensure "a Wayland compositor and GTK programs for the tests" weston xwayland dbus python3-gi gir1.2-gtk-3.0 gir1.2-atspi-2.0 at-spi2-core
  apt_ensure "packages of another system for the tests" rpm
  apt_ensure "lints tools/" shellcheck
  setup_python
  tools/kube.sh
  tools/kube.sh helm
}

what=${1:-test}
case "$what" in build | demo | test) ;; *) die "usage: tools/setup.sh [build|demo|test]" ;; esac
setup_build
[ "$what" != build ] || exit 0
setup_lab
setup_models
[ "$what" != demo ] || exit 0
setup_test
