# make check    what is quick: lint, and the tests that need no root, no server and no browser
# make test     everything that each commit has to pass: those, vet, all other tests with the race detector, short fuzz runs
# make acceptance  what takes minutes: crowds, a store with history, every look of every page, products, a release built twice;
#                  before a piece of work is called done
# make vuln     looks for known vulnerabilities in what is called, in the newest database of Go (part of make test)
# make release  what is handed out of VERSION=1.2.3, or of this commit, in dist: archives, packages for Debian and RPM, images
# make release-lock  the Debian packages of the image as the mirror has them now, into cmd/internal/release/debian.lock
# make demo     the bridge, a sandbox and a sample directory on this machine
# make bench    measures against the targets, writes docs/benchmarks.md, fails where one is missed; see docs/testing.md
#                  BENCHFLAGS="--parts launch --seconds 1 --report-only" measures a part, and writes nothing
# make bench-history  the same over an empty and a large store, into docs/benchmarks-history.md
# make translations  what translators still have to do in each language; LANGUAGE=de lists what a new one needs
# make build    the program, in the file ssobridge
#
# make demo and make build take the Go that is installed, as plain go commands do, so that each uses what the other has
# compiled. All else takes the one in .go-toolchain, which is downloaded once; GOTOOLCHAIN=local make …: the installed one.
# FUZZTIME=1m   make fuzz looks longer than the few thousand inputs that each target gets in make test
# INSTALL=no    make test installs nothing; it says what is missing and fails

INSTALLED     := $(or $(GOTOOLCHAIN),auto)
include .go-toolchain
export GOTOOLCHAIN
build demo: GOTOOLCHAIN = $(INSTALLED)

GO            ?= go
FUZZTIME      ?= 3000x
GOLANGCI      := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.9.0
# What makes the index. The vulnerabilities themselves come from the newest version, or from VULNDB=version.
INDEXDB       := golang.org/x/vulndb/cmd/indexdb@v0.0.0-20261105234957-e22db6528018
VULNDB        ?= latest
CYCLONEDX     := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
NFPM          := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2

# Packages share two cores with browsers and servers that the tests start. What takes longest begins first.
TESTFLAGS     ?= -p 2 -timeout 60m
PACKAGES      ?= ./store ./cmd/internal/e2e ./idp ./provisioning ./...
# Tests write into memory where there is room; TESTDIR=/tmp says otherwise.
TESTDIR       ?= $(shell .ci/testdir)
check gotest fuzz acceptance: export TMPDIR = $(TESTDIR)

# A module of its own: what measures the program is no part of it.
BENCHMODULE   := cmd/internal/bench

# The names of the tests of make acceptance. make check and make test leave them out (see internal/testkind).
ACCEPTANCE    := ^Test(Acceptance|Crowd)

.PHONY: check test acceptance install lint vet vuln gotest fuzz bench build release release-lock release-tools demo screenshots translations bench-history

# PostgreSQL is left out too: SSOBRIDGE_TEST_POSTGRES is empty.
check: lint
	GORACE=atexit_sleep_ms=0 SSOBRIDGE_TEST_RUN=check SSOBRIDGE_TEST_POSTGRES= $(GO) test -race $(TESTFLAGS) -skip '$(ACCEPTANCE)' $(PACKAGES)
	GORACE=atexit_sleep_ms=0 SSOBRIDGE_TEST_RUN=check $(GO) test -C $(BENCHMODULE) -race $(TESTFLAGS) -skip '$(ACCEPTANCE)' ./...

test: install lint vet vuln fuzz gotest

install:
	@INSTALL="$(INSTALL)" .ci/install

lint:
	@GO="$(GO)" INSTALL="$(INSTALL)" .ci/tool golangci-lint "$(GOLANGCI)"
	.tools/golangci-lint run ./...
	cd $(BENCHMODULE) && $(CURDIR)/.tools/golangci-lint run ./...

vet:
	$(GO) vet ./...
	$(GO) vet -C $(BENCHMODULE) ./...

vuln:
	@GO="$(GO)" INSTALL="$(INSTALL)" .ci/tool govulncheck "$(GOVULNCHECK)"
	@GO="$(GO)" INSTALL="$(INSTALL)" .ci/tool indexdb "$(INDEXDB)"
	$(GO) run ./cmd/internal/vuln -db "$(VULNDB)"

# The tests of the store also run on a PostgreSQL that they start themselves.
gotest: release-tools
	GORACE=atexit_sleep_ms=0 SSOBRIDGE_TEST_RUN= SSOBRIDGE_TEST_POSTGRES=start $(GO) test -race $(TESTFLAGS) -skip '$(ACCEPTANCE)' $(PACKAGES)
	GORACE=atexit_sleep_ms=0 SSOBRIDGE_TEST_RUN= $(GO) test -C $(BENCHMODULE) -race $(TESTFLAGS) -skip '$(ACCEPTANCE)' ./...

# End-to-end tests of thousands of people run without the race detector, which would slow these people down: the program
# runs without it there anyway. The rest of make acceptance starts other programs and waits for them.
acceptance: install release-tools
	GO="$(GO)" TESTFLAGS="$(TESTFLAGS)" SSOBRIDGE_TEST_RUN= SSOBRIDGE_TEST_POSTGRES=start .ci/acceptance '$(ACCEPTANCE)' ./cmd/internal/e2e ./web ./cmd/internal/release ./cmd/internal/bench
	cd docs/kubernetes/test && SSOBRIDGE_TEST_RUN= $(GO) test -count=1 -skip '$(ACCEPTANCE)' ./...

fuzz:
	@FUZZTIME="$(FUZZTIME)" GO="$(GO)" .ci/fuzz

# Not by go run, which turns every exit code but 0 into 1.
BENCH := .tools/bench
bench bench-history:
	@mkdir -p .tools
	$(GO) build -C $(BENCHMODULE) -o $(CURDIR)/$(BENCH) .
	$(BENCH) $(if $(filter bench-history,$@),--parts history) $(BENCHFLAGS)

# No flags: with others than make demo and go run have, SQLite's one file would be compiled again, which takes a minute.
build:
	$(GO) build -o ssobridge ./cmd/ssobridge

# ARCH=amd64 leaves out the other architecture, which needs its C compiler.
release: release-tools
	$(GO) run ./cmd/internal/release -version "$(VERSION)" $(if $(ARCH),-arch $(ARCH))

release-lock:
	$(GO) run ./cmd/internal/release -lock

# The tests of releases need them too.
release-tools:
	@GO="$(GO)" INSTALL="$(INSTALL)" .ci/tool cyclonedx-gomod "$(CYCLONEDX)"
	@GO="$(GO)" INSTALL="$(INSTALL)" .ci/tool nfpm "$(NFPM)"

demo:
	$(GO) run ./cmd/demo

# web/texts says how the catalogues are written.
translations:
	$(GO) run ./cmd/internal/translations $(if $(LANGUAGE),-language "$(LANGUAGE)") web/locales web/console/locales

# A picture of each page, in .screenshots, and all of them in its index.html.
screenshots:
	SSOBRIDGE_SCREENSHOTS=1 $(GO) test -count=1 -timeout 20m -run '^Test(Screenshots|Browser|Console|AcceptancePages)' ./web/... ./cmd/internal/e2e/...
	.ci/contact-sheet .screenshots
