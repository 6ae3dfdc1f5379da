package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"

	"slowpath/hostlink"
	"slowpath/qemu"
)

// release is the version of the host command and the kernel.
const release = "0.1"

// version is the subcommand version.
func version(std standard, _ []string) int {
	fmt.Fprintf(std.out, "slowpath %s (%s, host link version %d)\n", release, runtime.Version(), hostlink.Version)
	return exitSuccess
}

// tool is a program that running, building or testing Slowpath needs.
type tool struct {
	name     string
	purpose  string
	packages string // the Debian packages that contain it
	required bool   // slowpath run needs it
}

// tools lists the programs. The Makefile installs the same packages.
var tools = []tool{
	{qemu.Binary, "runs the kernel", "qemu-system-x86", true},
	{"go", "builds the kernel and this command (Go 1.26 or newer)", "golang-go, or from https://go.dev/dl/", false},
	{"make", "builds and tests", "make", false},
	{"gcc", "builds test programs", "gcc libc6-dev", false},
	{"musl-gcc", "builds test programs", "musl-tools", false},
	{"busybox", "is a test program", "busybox-static", false},
	{"chromium", "tests the page of slowpath masks --html", "chromium", false},
	{"gdb", "debugs the kernel with make gdb", "gdb", false},
}

// doctor is the subcommand doctor. It prints what is present, what is missing,
// and how to install it.
func doctor(std standard, _ []string) int {
	code := exitSuccess
	report := func(ok bool, required bool, what, advice string) {
		mark := "ok     "
		if !ok {
			mark = "missing"
			if required {
				code = exitMissing
			}
		}
		fmt.Fprintf(std.out, "%s  %s\n", mark, what)
		if !ok && advice != "" {
			fmt.Fprintf(std.out, "         %s\n", advice)
		}
	}
	for _, t := range tools {
		path, err := exec.LookPath(t.name)
		advice := "install it with: " + installCommand(t.packages)
		if !t.required {
			advice += " (needed only to build or test)"
		}
		report(err == nil, t.required, strings.TrimSpace(fmt.Sprintf("%s, which %s  %s", t.name, t.purpose, path)), advice)
	}
	kernel, err := findKernel()
	if err != nil {
		report(false, true, "the kernel", err.Error())
	} else {
		report(true, true, "the kernel  "+kernel, "")
	}
	if err := qemu.ProbeKVM(context.Background()); err != nil {
		fmt.Fprintf(std.out, "info     KVM does not work here (%v); Slowpath uses QEMU's emulation, so you need not do anything\n", err)
	} else {
		fmt.Fprintln(std.out, "info     KVM works here; --accel auto or kvm uses it")
	}
	return code
}

// installCommand returns the command that installs Debian packages.
func installCommand(packages string) string {
	if strings.Contains(packages, ",") {
		return "apt-get install " + packages
	}
	return "sudo apt-get install -y " + packages
}
