#!/usr/bin/env bash
# A real Kubernetes control plane for the tests, built from Go modules (no registry ships server binaries).
#   tools/kube.sh          kube-apiserver, etcd, kubectl, kube-controller-manager
#   tools/kube.sh helm     helm, for the chart's lint
#   tools/kube.sh path     prints the folder the tests look in
# KUBEBUILDER_ASSETS, when set, wins over what this builds. KEEP_GOCACHE=1 keeps Go's build cache (4 GB).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

KUBE_VERSION=v1.36.3
HELM_VERSION=v4.3.1
ROOT=$MOSDAT_CACHE/kube
DIR=$ROOT/$KUBE_VERSION

# The version that a client sees comes from the linker; without this it is v0.0.0.
minor=${KUBE_VERSION#v1.} minor=${minor%%.*}
VERSION_FLAGS="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  VERSION_FLAGS+=" -X $package.gitVersion=$KUBE_VERSION -X $package.gitMajor=1 -X $package.gitMinor=$minor"
done
HELM_FLAGS="-s -w -X helm.sh/helm/v4/internal/version.version=$HELM_VERSION"

# module folder | package | binary | linker flags | seconds, as measured on two cores
KUBE_PARTS=(
  "kubernetes|k8s.io/kubernetes/cmd/kube-apiserver|kube-apiserver|$VERSION_FLAGS|200"
  "kubernetes|k8s.io/kubernetes/cmd/kubectl|kubectl|$VERSION_FLAGS|20"
  "kubernetes|k8s.io/kubernetes/cmd/kube-controller-manager|kube-controller-manager|$VERSION_FLAGS|55"
  "etcd|go.etcd.io/etcd/server/v3|etcd|-s -w|20"
)
HELM_PARTS=("helm|helm.sh/helm/v4/cmd/helm|helm|$HELM_FLAGS|95")

ensure_go() {
  local have
  # 1.21 is the first Go that fetches the newer toolchain a go.mod asks for.
  have=$(go env GOVERSION 2>/dev/null | sed 's/^go//' || true) # none at all: empty
  if [ -n "$have" ] && version_at_least "$have" 1.21; then return; fi
  say "Go 1.21 or later is needed (found: ${have:-none})"
  if ! apt_ensure_backports "builds the Kubernetes binaries" golang-go; then
    die "no Go of 1.21 or later from apt; install one by hand and put it on the PATH"
  fi
  hash -r
  have=$(go env GOVERSION | sed 's/^go//')
  version_at_least "$have" 1.21 || die "go on the PATH is $have; 1.21 or later is needed"
}

# For a subshell of its own: it changes folder and does not return.
build_one() { # folder package output flags
  cd "tools/kube/$1"
  # Reproducible (no paths), pinned (go.sum), and polite to whoever else uses the machine.
  export GOTOOLCHAIN=auto GOFLAGS='-mod=readonly -trimpath -buildvcs=false' CGO_ENABLED=0 GOCACHE=$ROOT/.go-build
  # exec: so that it is go itself that an interrupt ends.
  exec nice -n 10 go build -ldflags "$4" -o "$3" "$2"
}

build() { # destination part...
  local dest=$1 part folder package binary flags seconds start began=$SECONDS
  shift
  local -a todo=()
  for part in "$@"; do
    IFS='|' read -r folder package binary flags seconds <<<"$part"
    [ -x "$dest/$binary" ] || todo+=("$part")
  done
  [ ${#todo[@]} -gt 0 ] || return 0
  ensure_go
  mkdir -p "$dest"
  # Two builds at once would only slow each other; the second finds everything made.
  exec 9>"$ROOT/.lock"
  flock -n 9 || { say "another build is at work in $ROOT; waiting for it"; flock 9; }
  say "building ${#todo[@]} of $# binaries into $dest (once per machine)"
  for part in "${todo[@]}"; do
    IFS='|' read -r folder package binary flags seconds <<<"$part"
    [ ! -x "$dest/$binary" ] || continue
    start=$SECONDS
    echo "    $binary: about $seconds s"
    with_ticks "$binary" build_one "$folder" "$package" "$dest/.$binary.new" "$flags" ||
      die "building $binary failed; the messages are above (module: tools/kube/$folder)"
    mv "$dest/.$binary.new" "$dest/$binary" # whole or not there at all
    echo "    $binary: $((SECONDS - start)) s, $(du -h "$dest/$binary" | cut -f1)"
  done
  if [ -z "${KEEP_GOCACHE:-}" ]; then rm -rf "$ROOT/.go-build"; fi
  exec 9>&-
  say "built in $((SECONDS - began)) s. Go's module cache keeps about 2 GB; 'go clean -modcache' frees it."
}

mkdir -p "$ROOT"
case "${1:-kube}" in
  kube)
    if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
      for binary in kube-apiserver etcd kubectl; do
        [ -x "$KUBEBUILDER_ASSETS/$binary" ] || die "KUBEBUILDER_ASSETS is set, but $KUBEBUILDER_ASSETS/$binary is not there"
      done
      say "using KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS"
      # Assets made for controller tests leave this one out.
      [ -x "$KUBEBUILDER_ASSETS/kube-controller-manager" ] || build "$DIR" "${KUBE_PARTS[2]}"
      exit
    fi
    build "$DIR" "${KUBE_PARTS[@]}"
    ;;
  helm) build "$MOSDAT_CACHE/helm/$HELM_VERSION" "${HELM_PARTS[@]}" ;;
  helm-path) echo "$MOSDAT_CACHE/helm/$HELM_VERSION/helm" ;;
  path) echo "${KUBEBUILDER_ASSETS:-$DIR}" ;;
  *) die "usage: tools/kube.sh [kube|helm|path|helm-path]" ;;
esac
