#!/usr/bin/env bash
# Feeds with anything, for a bounded time: the decoder of what VNC servers send, the loader of scenarios, the reader of
# models' answers. What it finds is in fuzz/artifacts; what reaches new code is kept in ~/.cache/mosdat/fuzz, and the
# smallest set of that is what the tests replay:
#   tools/fuzz.sh [SECONDS [TARGET...]]    fuzz, 60 s each unless told
#   tools/fuzz.sh minimise [TARGET...]     the cache's smallest set to fuzz/seeds
set -euo pipefail
. "$(dirname "$0")/lib.sh"

what=${1:-60}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- rfb_decoder scenario vlm_answer

tools/setup.sh build
if ! command -v c++ >/dev/null; then apt_ensure "the fuzzer is built with it" g++; fi
if ! cargo fuzz --version >/dev/null 2>&1; then
  say "installing cargo-fuzz"
  cargo install --quiet --locked cargo-fuzz --version '^0.13'
fi
# The fuzzer's instrumentation is an unstable option of the compiler; the stable one has it under this variable.
export RUSTC_BOOTSTRAP=1
for target; do
  seeds=fuzz/seeds/$target
  found=$MOSDAT_CACHE/fuzz/$target
  mkdir -p "$found" "$seeds"
  if [ "$what" = minimise ]; then
    rm -f "$seeds"/*
    cargo fuzz run "$target" "$seeds" "$found" -- -merge=1 -max_len=2048
  else
    say "$target, $what s"
    cargo fuzz run "$target" "$found" "$seeds" -- -max_total_time="$what" -max_len=4096 -rss_limit_mb=2048
  fi
done
