# The one entry for people and CI. Each target is a small script in tools/ or one cargo command.

.PHONY: help demo test generate lint truth kube models fuzz bench setup clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## the whole product on this machine: VMs, a desktop, a passing and a failing run
	@tools/demo.sh

test: ## everything CI checks
	@tools/test.sh

generate: ## crds/ and the chart's generated parts, from the Rust types
	@tools/generate.sh

lint: ## formatting, clippy, shellcheck
	@tools/test.sh lint

truth: ## the truth table of verdicts: sabotaged scenarios on a real desktop, and the one right outcome of each
	@tools/test.sh setup template truth

kube: ## a real Kubernetes control plane for the tests (once per machine, about 9 minutes)
	@tools/kube.sh && tools/kube.sh helm

models: ## the OCR models, from a pinned and hash-checked package
	@tools/fetch-models.sh

fuzz: ## a minute each of anything that a VNC server may send, a scenario may say, a model may answer (the first time builds for minutes)
	@tools/fuzz.sh

bench: ## measurements
	@tools/numbers.sh

setup: ## installs what the demo and the tests need, if it is missing
	@tools/setup.sh test

clean: ## build output and local state; the caches in ~/.cache/mosdat stay
	@rm -rf .mosdat .venv target
	@if command -v cargo >/dev/null; then cargo clean; fi
