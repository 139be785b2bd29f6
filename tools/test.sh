#!/usr/bin/env bash
# Everything CI checks, in stages; stops at the first that fails and names it.
#   tools/test.sh                 all stages
#   tools/test.sh lint kube ...   only these (a stage or a test binary in tests/)
set -euo pipefail
. "$(dirname "$0")/lib.sh"

export CARGO_TERM_PROGRESS_WHEN=never RUST_BACKTRACE=0
log=$(mktemp)
passed=0 failed=0 ignored=0 summary="" stage="" begun=$SECONDS

finish() {
  local rc=$?
  rm -f "$log"
  echo
  printf '%s' "$summary"
  if [ "$rc" = 0 ]; then
    echo "all stages passed in $((SECONDS - begun)) s"
  else
    echo "FAILED in stage: $stage (after $((SECONDS - begun)) s; again with: tools/test.sh $stage)"
  fi
  # The line that CI counts by.
  if [ $((passed + failed + ignored)) -gt 0 ]; then echo "$passed passed, $failed failed, $ignored skipped"; fi
}
trap finish EXIT

run_stage() { # name command...
  stage=$1
  local start=$SECONDS rc=0
  shift
  echo
  say "stage $stage"
  "$@" || rc=$?
  summary+=$(printf '  %-14s %s in %d s' "$stage" "$([ "$rc" = 0 ] && echo passed || echo FAILED)" $((SECONDS - start)))$'\n'
  [ "$rc" = 0 ] || exit "$rc"
}

# cargo_test ARGUMENT...: runs it and adds its counts to the sum.
cargo_test() {
  local rc=0 sums
  local -a limit=()
  # A test that hangs is named by its stage before CI as a whole runs out of time. By hand there is Ctrl-C.
  [ "${CI:-}" != true ] || limit=(timeout --kill-after=10 1800)
  "${limit[@]}" cargo test "$@" 2>&1 </dev/null | tee "$log" || rc=$?
  [ "$rc" != 124 ] || echo "no end after 1800 s"
  read -r -a sums < <(awk '/^test result:/ {p += $4; f += $6; i += $8} END {print p + 0, f + 0, i + 0}' "$log")
  passed=$((passed + sums[0])) failed=$((failed + sums[1])) ignored=$((ignored + sums[2]))
  return "$rc"
}

lint() {
  cargo fmt --check || { echo "run 'cargo fmt'"; return 1; }
  shellcheck -x --source-path=SCRIPTDIR tools/*.sh .ci/run || return 1
  cargo clippy --quiet --all-targets --locked -- -D warnings
}

build() { with_ticks "building the tests" cargo test --quiet --no-run --locked && cargo build --quiet --bin mosdat; }
unit() { cargo_test --quiet --lib --bins && cargo_test --quiet --doc; }

# Cheap and telling ones first; areas without a place in this list go before the end-to-end one.
areas() {
  local name known="layers docs api scenario seed controlplane parity kube proxmox results runner controller desktop vision guest lab server cli e2e"
  local -a found=()
  for name in tests/*.rs tests/*/main.rs; do
    [ -e "$name" ] || continue
    name=${name#tests/} name=${name%/main.rs} name=${name%.rs}
    found+=("$name")
  done
  for name in ${known% e2e}; do [[ " ${found[*]} " == *" $name "* ]] && echo "$name"; done
  for name in "${found[@]}"; do [[ " $known " == *" $name "* ]] || echo "$name"; done
  [[ " ${found[*]} " == *" e2e "* ]] && echo e2e
  return 0
}

one() {
  case "$1" in
    setup) run_stage setup tools/setup.sh test ;;
    lint) run_stage lint lint ;;
    build) run_stage build build ;;
    generated) run_stage generated tools/generate.sh --check ;;
    unit) run_stage unit unit ;;
    template) run_stage template tools/template.sh ;;
    *)
      [ -e "tests/$1.rs" ] || [ -e "tests/$1/main.rs" ] || die "no such stage: $1"
      # The end-to-end tests measure and wait for whole desktops: one at a time.
      local -a how=()
      [ "$1" != e2e ] || how=(-- --test-threads=1)
      # Its tests wait for a server far more than they compute.
      [ "$1" != proxmox ] || how=(-- --test-threads=6)
      # It tells each case as it ends.
      [ "$1" != truth ] || how=(-- --nocapture)
      run_stage "$1" cargo_test --test "$1" "${how[@]}"
      ;;
  esac
}

if [ $# -gt 0 ]; then
  for name in "$@"; do one "$name"; done
  exit
fi
for name in setup lint build generated unit template $(areas); do one "$name"; done
