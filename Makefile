# The one entry point, the same for people and CI. Every target installs what it needs first (scripts/setup.sh).
.DEFAULT_GOAL := help
SHELL := /bin/bash
export PATH := $(PATH):$(CURDIR)/target/tools/go/bin:$(CURDIR)/target/tools/deny/bin:$(CURDIR)/target/tools/machete/bin
PIPELINE ?= samples/minimal.yaml
# What makes a second build quick takes 7 GB of disk, and a clone of CI is built once.
ifdef CI
export CARGO_INCREMENTAL := 0
endif

.PHONY: help run quick test test-kubernetes test-versions check bench bench-scaler lecture generate screenshots hpa-vectors setup cluster cluster-down test-cluster test-charts image

help: ## Show this list, with what each takes on two cores
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Run the whole pipeline on this machine (PIPELINE=file): sign up by HTTP, read the mail in the inbox page (3 minutes from a clone)
	@scripts/setup.sh run
	cargo build -p api -p worker -p operator -p inbox
	@exec target/debug/operator local -f $(PIPELINE)

quick: ## Format, lint and unit-test what changed since the upstream branch (SINCE=rev); no server, Go, Helm: meant for under 2 minutes warm
	@scripts/setup.sh quick
	@scripts/quick.py $(if $(SINCE),--since $(SINCE))

test: ## Run every test, on real PostgreSQL, Redis, mail servers, asynq's Go library and a Kubernetes API server (35 minutes)
	@scripts/setup.sh test
	@tests/cluster/build.sh etcd kube-apiserver kubectl helm
	cargo test --workspace --no-fail-fast --features operator/apiserver-tests
	@scripts/test-versions.sh oldest
	@charts/test.sh

test-kubernetes: ## Run the tests on a Kubernetes API server on the oldest version that the charts promise, 1.30 (ONLY=rules; minutes)
	@scripts/setup.sh test
	@tests/cluster/build.sh etcd kube-apiserver-oldest kubectl helm
	KUBE_APISERVER=kube-apiserver-oldest cargo test --workspace --features operator/apiserver-tests --test apiserver -- $(ONLY)

test-versions: ## Run the tests of queue, signup and the thread on the oldest and newest PostgreSQL, Redis and Valkey (minutes)
	@scripts/setup.sh versions
	@scripts/test-versions.sh all

lecture: ## Perform the four runs of the lecture about task delay, and print what happens
	@scripts/setup.sh run
	cargo build -p api -p worker
	@cargo test --quiet -p pipeline-tests --test lecture -- --nocapture

test-charts: ## Test the charts: renders, refusals, and a real API server (no cluster needed)
	@scripts/setup.sh test
	cargo build -p operator
	@charts/test.sh

check: ## Check format, lints, dependencies, documentation, and that what is generated is current (minutes; Helm is built last)
	cargo fmt --all --check
	@scripts/setup.sh check
	scripts/house.py --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	cargo deny --log-level error check bans licenses sources
	cargo machete
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	@tests/cluster/build.sh helm
	charts/generate.sh --check

bench: ## Measure everything against its baselines (ROUNDS=5, ONLY=latency,signups, JSON=file): 25 minutes
	@scripts/setup.sh test
	cargo build --release -p api -p worker -p inbox -p pipeline-bench
	@exec target/release/bench --rounds $(or $(ROUNDS),5) $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json $(JSON))

bench-scaler: ## Measure how workers are scaled, beside KEDA itself (SHORT=1, ONLY=bursts,batch, KEDA=0, RESIDENTS=1000): an hour and a half
	@scripts/setup.sh test
	@tests/cluster/build.sh etcd kube-apiserver kube-controller-manager
	@$(if $(filter 0,$(KEDA)),,bench/scaler/keda.sh)
	cargo build --release -p operator -p scaler-bench
	@exec target/release/bench-scaler $(if $(SHORT),--short,--pictures docs) $(if $(ONLY),--only $(ONLY)) \
	  $(if $(filter 0,$(KEDA)),--without-keda) $(if $(RESIDENTS),--residents $(RESIDENTS))

image: ## Build the image that your cluster pulls (TAG=signup:0.1.0) into target/image.tar
	@scripts/setup.sh image
	@scripts/programs.sh target/image
	@scripts/image.sh target/image $(or $(TAG),signup:0.1.0) target/image.tar
	@ls -lh target/image.tar

cluster: ## Bring up a real single-node Kubernetes here (as root) with a pipeline in it, and print how to sign up (1 to 2 minutes; the first time also 13 to build Kubernetes)
	@tests/cluster/up.sh
	@tests/cluster/deploy.sh

cluster-down: ## Take that Kubernetes away without a trace (seconds)
	@tests/cluster/down.sh

test-cluster: ## Test all of it on that Kubernetes, from its start to its end (as root; ONLY=thread: two minutes instead of twenty)
	@ONLY=$(ONLY) tests/cluster/test.sh

generate: ## Write again what is generated from code (the CRD, what the charts take from it, docs/openapi.json)
	UPDATE_GOLDEN=1 cargo test -p operator
	UPDATE_GOLDEN=1 cargo test -p api --test api -- the_served_document
	tests/cluster/build.sh helm
	charts/generate.sh

screenshots: ## Write the pictures of docs/screenshots again, in Chromium (a minute)
	@scripts/setup.sh test
	cargo build -p api -p worker
	@mkdir -p docs/screenshots
	SCREENSHOTS=$(CURDIR)/docs/screenshots cargo test -p pipeline-tests --test browser -- a_person_signs_up

hpa-vectors: ## Write again what the HorizontalPodAutoscaler answers, by its own code (a minute; with a cold cache ten)
	@scripts/setup.sh check
	@operator/tests/hpa/generate.sh

setup: ## Install what the tests need
	@scripts/setup.sh test
