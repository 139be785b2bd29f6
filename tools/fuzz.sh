#!/usr/bin/env bash
# Feeds the decoder of what VNC servers send with anything, for a bounded time. What it finds is in fuzz/artifacts; what
# reaches new code is kept in ~/.cache/mosdat/fuzz, and the smallest set of that is what the tests replay:
#   tools/fuzz.sh [SECONDS]      fuzz, 120 s unless told
#   tools/fuzz.sh minimise       the cache's smallest set to fuzz/seeds
set -euo pipefail
. "$(dirname "$0")/lib.sh"

target=rfb_decoder
seeds=fuzz/seeds/$target
found=$MOSDAT_CACHE/fuzz/$target

tools/setup.sh build
if ! command -v c++ >/dev/null; then apt_ensure "the fuzzer is built with it" g++; fi
if ! cargo fuzz --version >/dev/null 2>&1; then
  say "installing cargo-fuzz"
  cargo install --quiet --locked cargo-fuzz --version '^0.13'
fi
mkdir -p "$found" "$seeds"
# The fuzzer's instrumentation is an unstable option of the compiler; the stable one has it under this variable.
export RUSTC_BOOTSTRAP=1
if [ "${1:-}" = minimise ]; then
  rm -f "$seeds"/*
  cargo fuzz run "$target" "$seeds" "$found" -- -merge=1 -max_len=2048
else
  cargo fuzz run "$target" "$found" "$seeds" -- -max_total_time="${1:-120}" -max_len=4096 -rss_limit_mb=2048
fi
