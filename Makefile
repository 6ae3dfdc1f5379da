# Slowpath. `make` without a target prints the list of targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The program of make run, its arguments, and flags of slowpath run.
INIT ?= bin/hello
ARGS ?=
RUNFLAGS ?=
# Additional arguments of gdb, before and after it connects.
GDBFLAGS ?=
GDBCOMMANDS ?=

# The kernel is linked at 0xffffffff80200000, which is -0x7fe00000.
KERNEL_LDFLAGS := -T=-0x7fe00000
GUEST := CGO_ENABLED=0 GOOS=linux GOARCH=amd64
# The packages whose tests need no QEMU.
HOST_PACKAGES = $$(go list ./... | grep -v '/qemu/integration$$')

# $(call need,PROGRAM,PACKAGES) installs Debian packages if a program is missing
# and the user may install packages. Otherwise it prints how to install them.
define need
command -v $(1) >/dev/null || { $(call install,$(1),$(2)); }
endef

# $(call need32) does the same for the C library and compiler of 32-bit programs.
define need32
echo 'int main(void) { return 0; }' | gcc -m32 -static -x c -o /dev/null - 2>/dev/null || \
  { $(call install,the 32-bit C library,gcc-multilib libc6-dev-i386); }
endef

# $(call install,WHAT,PACKAGES)
define install
  echo "$(1) is missing; installing $(2)"; \
  if [ "$$(id -u)" = 0 ]; then apt-get install -y $(2) || { apt-get update && apt-get install -y $(2); }; \
  elif sudo -n true 2>/dev/null; then sudo apt-get install -y $(2) || { sudo apt-get update && sudo apt-get install -y $(2); }; \
  else echo "$(1) is missing; install it with: sudo apt-get install -y $(2)" >&2; exit 1; fi
endef

.PHONY: help
help: ## print this list
	@echo "Usage: make TARGET"; echo
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16
	@echo; echo "  make run INIT=/bin/busybox ARGS='ls -l /' runs another program instead of the demonstration."

.PHONY: tools
tools:
	@command -v go >/dev/null || { echo "go is missing; install Go 1.26 or newer from https://go.dev/dl/" >&2; exit 1; }
	@$(call need,qemu-system-x86_64,qemu-system-x86)
	@$(call need,busybox,busybox-static)

.PHONY: test-tools
test-tools: tools
	@$(call need,gcc,gcc libc6-dev)
	@$(call need32)
	@$(call need,musl-gcc,musl-tools)
	@$(call need,chromium,chromium)
	@$(call need,/usr/bin/python3,python3)
	@$(call need,xz,xz-utils)

# The sources of Linux's own tests, from Debian.
SELFTESTS := bin/conformance/selftests/source
$(SELFTESTS): | test-tools
	go run ./qemu/conformance --fetch

.PHONY: build
build: ## build the kernel and the host command into bin/
	@mkdir -p bin
	$(GUEST) go build -tags kernel -trimpath -ldflags="$(KERNEL_LDFLAGS)" -o bin/kernel.raw ./cmd/kernel
	go run ./boot/image/link -o bin/kernel.elf bin/kernel.raw
	CGO_ENABLED=0 go build -trimpath -o bin/slowpath ./cmd/slowpath
	$(GUEST) go build -trimpath -ldflags='-s -w' -o bin/hello ./qemu/testdata/hello

.PHONY: run
run: tools build ## run the demonstration, or another program with INIT=PROGRAM ARGS='...'
	@bin/slowpath run $(RUNFLAGS) $(INIT) $(ARGS)

.PHONY: check
check: ## check the format, vet, and run the tests that need no QEMU, in two minutes
	@$(call need,gcc,gcc libc6-dev)
	@$(call need32)
	@files=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$files" ] || { echo "gofmt these files: $$files" >&2; exit 1; }
	go vet ./...
	go run ./qemu/testreport -race $(HOST_PACKAGES) + ./entry/check

.PHONY: test
test: test-tools $(SELFTESTS) build ## run the tests of check and those in QEMU
	@files=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$files" ] || { echo "gofmt these files: $$files" >&2; exit 1; }
	go vet ./...
	go run ./qemu/testreport -race $(HOST_PACKAGES) + ./entry/check : -count=1 -timeout=20m ./qemu/integration

.PHONY: bench
bench: test-tools build ## print the instruction counts of system calls and of the boot
	go test -count=1 -run='^$$' -bench=. -benchtime=1x ./qemu/integration

.PHONY: soak
soak: test-tools build ## run the long tests for hours: fuzzing, boots, load, wake-ups, and an NMI and an #MC at each instruction of the trampolines
	go test -race -count=1 -v -timeout=4h -run=TestRandomPrograms ./fuzz/hostkernel -fuzz.duration=30m
	SLOWPATH_SOAK=long go test -count=1 -v -run=TestEveryMutantIsFound ./fuzz/hostkernel
	go test -run='^$$' -fuzz=Programs -fuzztime=30m ./fuzz/hostkernel
	SLOWPATH_SOAK=long go test -count=1 -v -timeout=4h -run='^Test(Soak|NoWakeUpIsLost|NMI|MachineCheck)' ./qemu/integration

.PHONY: conformance
conformance: test-tools build ## run SUITES of other projects, or all, as root; LINUX=1 compares with Debian's Linux in QEMU
	go run ./qemu/conformance $(if $(LINUX),--linux) -o qemu/conformance/results.tsv $(SUITES)

.PHONY: debian-root
debian-root: tools ## unpack Debian's PACKAGES into the directory DIR, for slowpath run --rootfs
	go run ./qemu/debianroot/unpack $(DIR) $(PACKAGES)

.PHONY: strace-lines
strace-lines: test-tools build ## compare slowpath strace with strace for Debian's python3, and with what strace's own test programs expect; as root
	go run ./qemu/conformance --strace-python
	go run ./qemu/conformance --strace-lines

# The debugger or tracer of make debug-root.
TOOLS ?= gdb

.PHONY: debug-root
debug-root: test-tools ## make a root directory with TOOLS (gdb, strace, ltrace, valgrind, bubblewrap, delve) for make run
	go run ./qemu/conformance --root $(TOOLS)

.PHONY: gdb
gdb: tools build ## run INIT under gdb, stopped before the first instruction
	@$(call need,gdb,gdb)
	@# setsid keeps Ctrl-C, which is for gdb, from the machine. kernel.raw has the symbols,
	@# with paths relative to this directory and to Go's src directory.
	@setsid bin/slowpath run --gdb tcp:localhost:1234 $(RUNFLAGS) $(INIT) $(ARGS) & machine=$$!; \
	  trap 'kill $$machine 2>/dev/null || true; wait' EXIT; \
	  gdb -q -ex 'set substitute-path slowpath .' -ex "set substitute-path runtime $$(go env GOROOT)/src/runtime" \
	    $(GDBFLAGS) bin/kernel.raw -ex 'target remote localhost:1234' $(GDBCOMMANDS)

.PHONY: clean
clean: ## remove bin/
	rm -rf bin
