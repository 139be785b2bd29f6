#!/usr/bin/env bash
# Makes the lab's desktop template unless this machine has it. Only the making needs root (it unpacks a Debian root
# file system with its owners); what is made belongs to the caller.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

mosdat=$TARGET_DIR/debug/mosdat
lab=${XDG_CACHE_HOME:-$HOME/.cache}/mosdat/lab
if [ "$(id -u)" != 0 ] && ! "$mosdat" lab template build 2>/dev/null; then
  say "making the desktop template needs root: sudo"
  as_root env HOME="$HOME" XDG_CACHE_HOME="${XDG_CACHE_HOME:-$HOME/.cache}" "$mosdat" lab template build
  as_root chown -R "$(id -u):$(id -g)" "$lab"
fi
exec "$mosdat" lab template build
