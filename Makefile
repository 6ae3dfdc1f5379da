# Slowpath: everything that one does with it. `make` alone prints this list.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# What make run runs, and how.
INIT ?= bin/hello
ARGS ?=
RUNFLAGS ?=
# More of the command line of gdb, before and after it has connected.
GDBFLAGS ?=
GDBCOMMANDS ?=

# The kernel is linked at 0xffffffff80200000, which is -0x7fe00000.
KERNEL_LDFLAGS := -T=-0x7fe00000
GUEST := CGO_ENABLED=0 GOOS=linux GOARCH=amd64
# The packages whose tests need no QEMU.
HOST_PACKAGES = $$(go list ./... | grep -v '/qemu/integration$$')

# $(call need,PROGRAM,PACKAGE) installs a Debian package that has a program,
# where it is missing and this user may install it; else it says how to.
define need
command -v $(1) >/dev/null || { \
  echo "$(1) is missing; installing $(2)"; \
  if [ "$$(id -u)" = 0 ]; then apt-get install -y $(2) || { apt-get update && apt-get install -y $(2); }; \
  elif sudo -n true 2>/dev/null; then sudo apt-get install -y $(2) || { sudo apt-get update && sudo apt-get install -y $(2); }; \
  else echo "$(1) is missing; install it by: sudo apt-get install -y $(2)" >&2; exit 1; fi; }
endef

.PHONY: help
help: ## print this list
	@echo "Usage: make TARGET"; echo
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16
	@echo; echo "  make run INIT=/bin/busybox ARGS='ls -l /' runs another program than the demonstration."

.PHONY: tools
tools:
	@command -v go >/dev/null || { echo "go is missing; install Go 1.26 or newer from https://go.dev/dl/" >&2; exit 1; }
	@$(call need,qemu-system-x86_64,qemu-system-x86)
	@$(call need,busybox,busybox-static)

.PHONY: test-tools
test-tools: tools
	@$(call need,gcc,gcc libc6-dev)
	@$(call need,musl-gcc,musl-tools)
	@$(call need,chromium,chromium)
	@$(call need,/usr/bin/python3,python3)
	@$(call need,xz,xz-utils)

# Linux's own tests of its entry code are built from Debian's sources.
SELFTESTS := bin/conformance/selftests-x86/source
$(SELFTESTS): | test-tools
	go run ./qemu/conformance --fetch

.PHONY: build
build: ## build the kernel and the host command into bin/
	@mkdir -p bin
	$(GUEST) go build -trimpath -ldflags="$(KERNEL_LDFLAGS)" -o bin/kernel.raw ./cmd/kernel
	go run ./boot/image/link -o bin/kernel.elf bin/kernel.raw
	CGO_ENABLED=0 go build -trimpath -o bin/slowpath ./cmd/slowpath
	$(GUEST) go build -trimpath -ldflags='-s -w' -o bin/hello ./qemu/testdata/hello

.PHONY: run
run: tools build ## run a program: the demonstration, or INIT=PROGRAM ARGS='...'
	@bin/slowpath run $(RUNFLAGS) $(INIT) $(ARGS)

.PHONY: check
check: ## format, vet and test everything that needs no QEMU, in two minutes
	@$(call need,gcc,gcc libc6-dev)
	@files=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$files" ] || { echo "gofmt these files: $$files" >&2; exit 1; }
	go vet ./...
	go run ./qemu/testreport -race $(HOST_PACKAGES) + ./entry/check

.PHONY: test
test: test-tools $(SELFTESTS) build ## check, and the tests in QEMU
	@files=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$files" ] || { echo "gofmt these files: $$files" >&2; exit 1; }
	go vet ./...
	go run ./qemu/testreport -race $(HOST_PACKAGES) + ./entry/check : -count=1 -timeout=20m ./qemu/integration

.PHONY: bench
bench: test-tools build ## print instruction counts of system calls and of the boot
	go test -count=1 -run='^$$' -bench=. -benchtime=1x ./qemu/integration

.PHONY: soak
soak: test-tools build ## a thousand boots, ten minutes of load, a million wake-ups, an NMI and an #MC at each instruction of the trampolines
	SLOWPATH_SOAK=long go test -count=1 -v -timeout=4h -run='^Test(Soak|NoWakeUpIsLost|NMI|MachineCheck)' ./qemu/integration

.PHONY: conformance
conformance: test-tools build ## run SUITES of others, or all, as root; LINUX=1: beside Debian's Linux in QEMU
	go run ./qemu/conformance $(if $(LINUX),--linux) -o qemu/conformance/results.tsv $(SUITES)

.PHONY: gdb
gdb: tools build ## run INIT under gdb, stopped before the first instruction
	@$(call need,gdb,gdb)
	@# A session of its own: Ctrl-C is for gdb. The symbols are in what the linker made,
	@# with the paths of the sources from here and from Go's own src.
	@setsid bin/slowpath run --gdb tcp:localhost:1234 $(RUNFLAGS) $(INIT) $(ARGS) & machine=$$!; \
	  trap 'kill $$machine 2>/dev/null || true; wait' EXIT; \
	  gdb -q -ex 'set substitute-path slowpath .' -ex "set substitute-path runtime $$(go env GOROOT)/src/runtime" \
	    $(GDBFLAGS) bin/kernel.raw -ex 'target remote localhost:1234' $(GDBCOMMANDS)

.PHONY: clean
clean: ## remove bin/
	rm -rf bin
