#!/usr/bin/env bash
# Writes what is generated from the Rust types: crds/, the chart's copy of it, the controller's RBAC rules, and the
# reference of the scenario language.
#   tools/generate.sh           writes
#   tools/generate.sh --check   fails, with the difference, if what is committed differs
set -euo pipefail
. "$(dirname "$0")/lib.sh"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/crds" "$scratch/generated" "$scratch/language"

cargo build --quiet --bin mosdat
mosdat=$TARGET_DIR/debug/mosdat

"$mosdat" crds --output-dir "$scratch/crds" # one file per kind, named by its plural
[ -n "$(ls "$scratch/crds")" ] || die "'mosdat crds' wrote no kind"
"$mosdat" rbac >"$scratch/generated/rules.yaml"
[ -s "$scratch/generated/rules.yaml" ] || die "'mosdat rbac' printed no rule"
"$mosdat" schema scenario >"$scratch/language/scenario.schema.json"
"$mosdat" schema events >"$scratch/language/events.schema.json"
"$mosdat" schema scenario --page >"$scratch/language/scenario.md"

pairs=("language docs/reference" "crds crds" "crds charts/mosdat/crds" "generated charts/mosdat/generated")
if [ "${1:-}" = --check ]; then
  for pair in "${pairs[@]}"; do
    read -r made committed <<<"$pair"
    diff -ru "$committed" "$scratch/$made" || die "$committed is out of date: run 'make generate' and commit the result"
  done
  say "generated files are up to date"
else
  for pair in "${pairs[@]}"; do
    read -r made committed <<<"$pair"
    rm -rf "$committed"
    mkdir -p "$committed"
    cp "$scratch/$made"/* "$committed/"
  done
  say "wrote crds/, docs/reference/ and charts/mosdat/ ($(find crds -name '*.yaml' | wc -l) kinds)"
fi
