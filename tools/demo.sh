#!/usr/bin/env bash
# `make demo`: the whole product on this machine. State is in .mosdat/, made things in ~/.cache/mosdat.
# Ctrl-C (or the end of the demo) stops everything it started.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

STATE=.mosdat
QUICKSTART=examples/quickstart
UP_LOG=$STATE/up.log
READY_SECONDS=60

began=$SECONDS
up=""

stop() {
  trap - EXIT INT TERM
  [ -n "$up" ] || return 0
  if kill -0 "$up" 2>/dev/null; then
    # mosdat stops its virtual machines and leaves; its whole session goes if it does not within 20 s.
    kill -TERM "$up" 2>/dev/null || true
    for _ in $(seq 100); do
      kill -0 "$up" 2>/dev/null || break
      sleep 0.2
    done
  fi
  kill -KILL -- "-$up" 2>/dev/null || true
  wait "$up" 2>/dev/null || true
}
trap stop EXIT
trap 'stop; echo; echo "stopped"; exit 130' INT TERM

up_is_ready() { [ -s "$STATE/kubeconfig" ] && [ -s "$STATE/page.url" ] && grep -q 'is ready' "$UP_LOG"; }

tools/setup.sh demo

# The development profile: 3 minutes from nothing (a release build takes twice that), and the tests share it.
say "building mosdat"
cargo build --locked --bin mosdat
mosdat=$TARGET_DIR/debug/mosdat

say "the desktop template (once per machine; later runs reuse it)"
start=$SECONDS
tools/template.sh
echo "    template ready after $((SECONDS - start)) s"

mkdir -p "$STATE"
rm -f "$STATE/page.url"
say "starting the control plane, the controller, the lab and the page: mosdat up"
# Its own session, so that one signal reaches all that it starts.
setsid "$mosdat" up --state "$STATE" >"$UP_LOG" 2>&1 </dev/null &
up=$!
start=$SECONDS
until up_is_ready; do
  kill -0 "$up" 2>/dev/null || { tail -n 20 "$UP_LOG" >&2; die "'mosdat up' ended; its output is above and in $UP_LOG"; }
  [ $((SECONDS - start)) -lt $READY_SECONDS ] || { tail -n 20 "$UP_LOG" >&2; die "'mosdat up' is not ready after $READY_SECONDS s; see $UP_LOG"; }
  sleep 0.1
done
page=$(cat "$STATE/page.url")
echo "    page: $page"

table=$(printf '%-10s %-8s %s' RUN RESULT SECONDS)

# run_one LABEL EXPECTED-EXIT-CODE FILE...
run_one() {
  local label=$1 expected=$2 rc=0 start=$SECONDS result
  shift 2
  # As it can be typed: the files are the ones that are run.
  say "the $label run: $mosdat run --state $STATE $*"
  "$mosdat" run --state "$STATE" "$@" </dev/null || rc=$?
  case $rc in 0) result=passed ;; 1) result=failed ;; 2) result=error ;; 3) result=invalid ;; *) result="exit $rc" ;; esac
  table+=$(printf '\n%-10s %-8s %d' "$label" "$result" $((SECONDS - start)))
  [ "$rc" = "$expected" ] || die "the $label run should have ended with exit code $expected, and ended with $rc; see $UP_LOG"
}
run_one passing 0 $QUICKSTART/scenario.yaml $QUICKSTART/passing.yaml
run_one failing 1 $QUICKSTART/failing.yaml

echo
echo "$table"
echo
echo "reports:"
find "$STATE" -name report.html -newer "$STATE/page.url" -printf '    %p\n' | sort
echo "the whole demo took $((SECONDS - began)) s"

# A person may want to look around; a script wants the end, and no addresses of what is gone then.
if [ -t 0 ] && [ -t 1 ]; then
  echo "page:    $page"
  echo "kubectl: KUBECONFIG=$STATE/kubeconfig kubectl get functionaltestruns"
  echo "The page stays up until Ctrl-C."
  # Everything went as it should: ending it now is its normal end.
  trap 'stop; echo; echo "stopped"; exit 0' INT TERM
  wait "$up" || true
fi
