# make test     everything that has to hold: lint, vet, tests with the race detector, short fuzz runs
# make vuln     looks for known vulnerabilities in what is called, in the newest database of Go (part of make test)
# make release  what is handed out of VERSION=1.2.3, or of a tagged commit, in dist: archive, components, checksums
# make demo     the bridge, a sandbox and a sample directory on this machine
# make bench    measures against the targets, writes docs/benchmarks.md, fails where one is missed; see docs/operations.md
# make build    the program, in the file ssobridge; TAGS=openssl: RSA signatures by OpenSSL (needs libssl-dev)
#
# GOTOOLCHAIN=local make …: with the Go that is installed, instead of the one in .go-toolchain, which is downloaded once
# FUZZTIME=1m   make fuzz looks longer than the few thousand inputs that each target gets in make test
# INSTALL=no    make test installs nothing; it says what is missing and fails

include .go-toolchain
export GOTOOLCHAIN

GO            ?= go
FUZZTIME      ?= 3000x
GOLANGCI      := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.9.0
# What makes the index. The vulnerabilities themselves come from the newest version, or from VULNDB=version.
INDEXDB       := golang.org/x/vulndb/cmd/indexdb@v0.0.0-20261105234957-e22db6528018
VULNDB        ?= latest
CYCLONEDX     := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

# Packages share two cores with browsers and servers that the tests start. What takes longest begins first.
TESTFLAGS     ?= -p 2 -timeout 60m
PACKAGES      ?= ./store ./cmd/internal/e2e ./idp ./provisioning ./...
# Tests write into memory where there is room; TESTDIR=/tmp says otherwise.
TESTDIR       ?= $(shell .ci/testdir)
gotest: export TMPDIR = $(TESTDIR)

.PHONY: test install lint vet vuln gotest fuzz bench build release release-tools demo screenshots

test: install lint vet vuln fuzz gotest

install:
	@INSTALL="$(INSTALL)" .ci/install

lint:
	@GO="$(GO)" INSTALL="$(INSTALL)" .ci/tool golangci-lint "$(GOLANGCI)"
	.tools/golangci-lint run ./...

vet:
	$(GO) vet ./...

vuln:
	@GO="$(GO)" INSTALL="$(INSTALL)" .ci/tool govulncheck "$(GOVULNCHECK)"
	@GO="$(GO)" INSTALL="$(INSTALL)" .ci/tool indexdb "$(INDEXDB)"
	$(GO) run ./cmd/internal/vuln -db "$(VULNDB)"

# The tests of the store also run on a PostgreSQL that they start themselves. End-to-end tests of thousands of people
# run without the race detector, which would slow these people down: the program runs without it there anyway.
gotest: release-tools
	GORACE=atexit_sleep_ms=0 SSOBRIDGE_TEST_POSTGRES=start $(GO) test -race $(TESTFLAGS) -skip '^TestCrowd' $(PACKAGES)
	SSOBRIDGE_TEST_POSTGRES=start $(GO) test $(TESTFLAGS) -run '^TestCrowd' ./cmd/internal/e2e
	$(GO) vet -tags openssl ./certs && $(GO) test -race -tags openssl $(TESTFLAGS) ./certs

fuzz:
	@FUZZTIME="$(FUZZTIME)" GO="$(GO)" .ci/fuzz

# Not by go run, which turns every exit code but 0 into 1.
BENCH := .tools/bench
bench:
	@mkdir -p .tools
	$(GO) build -o $(BENCH) ./cmd/internal/bench
	$(BENCH)

build:
	$(GO) build -trimpath -tags "$(TAGS)" -o ssobridge ./cmd/ssobridge

release: release-tools
	$(GO) run ./cmd/internal/release -version "$(VERSION)" -tags "$(TAGS)"

# The test of reproducible releases needs them too.
release-tools:
	@GO="$(GO)" INSTALL="$(INSTALL)" .ci/tool cyclonedx-gomod "$(CYCLONEDX)"

demo:
	$(GO) run ./cmd/demo

# A picture of each page, in .screenshots.
screenshots:
	SSOBRIDGE_SCREENSHOTS=1 $(GO) test -count=1 -timeout 20m ./web/... ./cmd/internal/e2e/...
