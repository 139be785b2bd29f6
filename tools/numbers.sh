#!/usr/bin/env bash
# `make bench`: the numbers of the thin path on this machine, one per line. Needs the template (mosdat lab template build).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

cargo build --quiet --locked --bin mosdat
mosdat=$TARGET_DIR/debug/mosdat
state=$(mktemp -d)
up=""
finish() {
  [ -z "$up" ] || { kill -TERM "$up" 2>/dev/null || true; wait "$up" 2>/dev/null || true; }
  rm -rf "$state"
}
trap finish EXIT

now() { date +%s.%N; }
since() { awk -v from="$1" -v to="$(now)" 'BEGIN {print to - from}'; }
kubectl=$(command -v "$(tools/kube.sh path)/kubectl" || command -v kubectl) || die "kubectl is missing: run 'make kube'"
k() { "$kubectl" --kubeconfig "$state/kubeconfig" "$@"; }

start=$(now)
"$mosdat" up --state "$state" >"$state/up.log" 2>&1 </dev/null &
up=$!
until [ -s "$state/kubeconfig" ] && k get --raw /readyz >/dev/null 2>&1; do
  kill -0 "$up" 2>/dev/null || { cat "$state/up.log" >&2; die "'mosdat up' ended"; }
  sleep 0.02
done
printf '%-48s %6.2f s\n' "mosdat up: start to kubectl's first answer" "$(since "$start")"
# Idle: what start-up allocated has been given back and nothing is asked of it.
sleep 10
printf '%-48s %6.1f MB\n' "mosdat up: resident, idle" "$(awk '/^VmRSS/ {print $2 / 1000}' "/proc/$up/status")"

vm() { # NAME LABEL MORE-SPEC
  printf '{"apiVersion": "mosdat.dev/v1alpha1", "kind": "ProxmoxVM", "metadata": {"name": "%s"}, "spec": {"clusterRef": {"name": "lab"}, "source": {"clone": {"template": "desktop"}}%s}}' "$1" "$3" >"$state/vm.json"
  start=$(now)
  k apply -f "$state/vm.json" >/dev/null
  k wait --for=condition=Ready "proxmoxvm/$1" --timeout=180s >/dev/null
  printf '%-48s %6.2f s\n' "$2" "$(since "$start")"
  start=$(now)
  k delete proxmoxvm "$1" >/dev/null
  printf '%-48s %6.2f s\n' "  and its deletion" "$(since "$start")"
}
vm resumed "VM: applied to Ready, resumed from RAM" ''
vm resumed2 "VM: the same again, caches warm" ''
vm fresh "VM: applied to Ready, fresh boot" ', "hardware": {"memoryMiB": 640}'

start=$(now)
"$mosdat" run --state "$state" examples/quickstart/scenario.yaml examples/quickstart/passing.yaml >"$state/run.log"
printf '%-48s %6.2f s\n' "mosdat run examples/quickstart/passing.yaml" "$(since "$start")"
grep -E ' (ok|FAIL) ' "$state/run.log" | sed 's/^/  /'

# Unoptimised like the rest: the fake, which is Python, is what takes the time.
cargo bench --quiet --locked --profile dev --bench two_hundred_vms

# Optimised: pixels are what takes the time. The other clients are Python's, in an environment of their own.
peers=$MOSDAT_CACHE/bench-venv
if [ ! -x "$peers/bin/python" ]; then
  say "installing the VNC clients to compare with into $peers"
  python3 -m venv "$peers"
  "$peers/bin/pip" install -q --disable-pip-version-check asyncvnc==1.3.0 vncdotool==1.4.2
fi
MOSDAT_BENCH_PYTHON=$peers/bin/python cargo bench --quiet --locked --bench capture

vision=$MOSDAT_CACHE/bench-opencv
if [ ! -x "$vision/bin/python" ]; then
  say "installing OpenCV to compare with into $vision"
  python3 -m venv "$vision"
  "$vision/bin/pip" install -q --disable-pip-version-check opencv-python-headless==5.0.0.93
fi
MOSDAT_BENCH_PYTHON=$vision/bin/python cargo bench --quiet --locked --bench reference

# A run on a screen of its own: what a step takes, and what 100 of them leave behind.
cargo bench --quiet --locked --bench steps

readers=$MOSDAT_CACHE/bench-readers
if [ ! -x "$readers/bin/python" ]; then
  apt_ensure "reads text, to compare with" tesseract-ocr
  say "installing rapidocr to compare with into $readers"
  python3 -m venv "$readers"
  "$readers/bin/pip" install -q --disable-pip-version-check rapidocr==3.10.0 onnxruntime==1.32.0
fi
MOSDAT_BENCH_PYTHON=$readers/bin/python cargo bench --quiet --locked --bench ocr

differ=$MOSDAT_CACHE/bench-differ
if [ ! -d "$differ/node_modules/pixelmatch" ]; then
  command -v npm >/dev/null || apt_ensure "runs pixelmatch and odiff, to compare with" nodejs npm
  say "installing odiff and pixelmatch to compare with into $differ"
  mkdir -p "$differ"
  npm install --silent --prefix "$differ" odiff-bin@4.5.0 pixelmatch@8.0.0 pngjs@7.0.0 >/dev/null
fi
MOSDAT_BENCH_NODE=$differ MOSDAT_BENCH_ODIFF=$differ/node_modules/.bin/odiff cargo bench --quiet --locked --bench difference
