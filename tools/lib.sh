# shellcheck shell=bash
# Shared by the scripts in tools/: where things are, how they speak, how Debian packages get in.
# Source it; it changes to the repository's top folder.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# As in the binary (src/lab/mod.rs, src/vision/models.rs): XDG_CACHE_HOME moves it all.
MOSDAT_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/mosdat
readonly MOSDAT_CACHE

# Build output. CI works in a fresh clone each time, so there it is kept beside the other caches;
# a person's clone has the usual ./target. CARGO_TARGET_DIR, when set, wins.
if [ "${CI:-}" = true ] && [ -z "${CARGO_TARGET_DIR:-}" ]; then
  export CARGO_TARGET_DIR=$MOSDAT_CACHE/target
fi
# shellcheck disable=SC2034 # for the scripts that source this
TARGET_DIR=${CARGO_TARGET_DIR:-target}

# Where installers put things that a non-login shell may not have on its PATH.
for dir in "$HOME/.cargo/bin" /usr/local/go/bin /usr/lib/go-1.2*/bin; do
  case ":$PATH:" in
    *":$dir:"*) ;;
    *) [ ! -d "$dir" ] || PATH=$PATH:$dir ;;
  esac
done
export PATH

say() { printf '==> %s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# version_at_least HAVE WANT: compares dotted versions.
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || die "root is needed for: $* (and there is no sudo). Run it as root, then try again."
  sudo "$@"
}

# missing_packages NAME...: prints those that dpkg does not have installed. No network, a few milliseconds.
missing_packages() {
  local name
  # dpkg-query exits 1 as soon as one name is unknown; its output still tells about the others.
  local installed
  # shellcheck disable=SC2016 # the ${...} are dpkg-query's own fields
  installed=" $(dpkg-query -W -f '${Package}:${db:Status-Status} ' "$@" 2>/dev/null || true)"
  for name in "$@"; do
    case "$installed" in *" $name:installed "*) ;; *) echo "$name" ;; esac
  done
}

# A package list that is older than a week, or not there at all, may name files that the mirror no longer has.
apt_lists_fresh() {
  [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime -7 -print -quit 2>/dev/null)" ]
}

apt_update() { as_root apt-get update -q >/dev/null || die "apt-get update failed; check this machine's package sources."; }

# Never at the price of another package: then it fails, and the caller has another way or says so.
apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --no-remove -o Dpkg::Use-Pty=0 "$@"
}

# apt_candidate NAME: the version that apt would install, or nothing.
apt_candidate() {
  apt_lists_fresh || apt_update
  apt-cache policy "$1" | awk '$1 == "Candidate:" && $2 != "(none)" {print $2}'
}

# apt_ensure WHY PACKAGE...: installs what is missing and says so in one line. Nothing missing: silent and fast.
apt_ensure() {
  local why=$1 log
  shift
  local -a missing
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "missing: ${missing[*]} ($why). This is no Debian machine; install them by hand."
  say "installing ${missing[*]} ($why)"
  apt_lists_fresh || apt_update
  log=$(mktemp)
  if ! apt_get "${missing[@]}" >"$log" 2>&1; then
    # An old list names versions that the mirror has replaced: refresh once before giving up.
    apt_update
    if ! apt_get "${missing[@]}" >"$log" 2>&1; then
      tail -n 20 "$log" >&2
      rm -f "$log"
      return 1
    fi
  fi
  rm -f "$log"
}

debian_codename() { (. /etc/os-release && echo "${VERSION_CODENAME:-}"); }

# apt_backports: adds <codename>-backports of the mirror that this machine already uses (no host of ours), once.
apt_backports() {
  local suite mirror keyring file=/etc/apt/sources.list.d/mosdat-backports.sources
  suite=$(debian_codename)-backports
  [ "$suite" != -backports ] || die "cannot tell this Debian's code name from /etc/os-release"
  # shellcheck disable=SC2016 # the $(...) are apt's own fields
  if ! apt-get indextargets --format '$(CODENAME) $(RELEASE)' 'Created-By: Packages' | grep -qw -e "$suite"; then
    # The Debian archive, not its security archive and not a third party's.
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI)|$(CODENAME)|$(RELEASE)' 'Created-By: Packages' |
      awk -F'|' -v suite="${suite%-backports}" '($2 == suite || $3 == suite) && $1 ~ /\/debian\/?$/ {print $1; exit}')
    [ -n "$mirror" ] || die "no Debian archive for ${suite%-backports} among this machine's apt sources; add $suite by hand"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    say "adding $suite of this machine's own mirror as $file"
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$mirror" "$suite" "$keyring" |
      as_root tee "$file" >/dev/null
    apt_update
  fi
}

# apt_ensure_backports WHY PACKAGE...: as apt_ensure, from backports.
apt_ensure_backports() {
  local why=$1 log
  shift
  apt_backports
  say "installing $* from $(debian_codename)-backports ($why)"
  log=$(mktemp)
  if ! apt_get -t "$(debian_codename)-backports" "$@" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

# with_ticks LABEL COMMAND...: runs a silent command and says every half minute that it is still at work.
with_ticks() {
  local label=$1 pid start=$SECONDS next=30 rc=0
  shift
  "$@" &
  pid=$!
  # shellcheck disable=SC2064 # the pid of now
  trap "kill $pid 2>/dev/null; wait $pid 2>/dev/null; exit 130" INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.5
    if [ $((SECONDS - start)) -ge "$next" ]; then
      echo "    $label: $next s so far"
      next=$((next + 30))
    fi
  done
  wait "$pid" || rc=$?
  trap - INT TERM
  return "$rc"
}
