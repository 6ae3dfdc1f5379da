package main

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"slowpath/qemu/debianroot"
)

// straceSeconds is the time limit of one of strace's tests.
const straceSeconds = 60

// straceTests names strace's own tests that run: those of its options, of attaching,
// injection, filters and signals, and some of the tests that decode one system call.
//
//go:embed strace.txt
var straceTests string

// stracePackages are the Debian packages with the tools of strace's test scripts.
var stracePackages = []string{"bash", "busybox-static", "coreutils", "diffutils", "gawk", "grep", "procps", "sed", "util-linux"}

// buildStrace builds strace and the programs of its tests in its source directory.
const buildStrace = `set -e
cd "$1"
./configure --enable-bundled=yes --enable-mpers=no CFLAGS='-O1 -g0'
make -j2
make -j2 -C tests check TESTS=
touch built`

// setupStrace builds strace and its tests and returns jobs that run them.
func setupStrace(root string) ([]job, error) {
	source, err := fetchSource("strace", "strace-*", "tests/init.sh")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(source, "built")); err != nil {
		if out, err := exec.Command("sh", "-c", buildStrace, "sh", source).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("cannot build strace: %w\n%s", err, out)
		}
	}
	if err := debianroot.Fill(root, workDirectory, stracePackages); err != nil {
		return nil, err
	}
	if err := installBatch(root); err != nil {
		return nil, err
	}
	// The tests need the programs and scripts, not the sources and the objects.
	const copyTests = `set -e
mkdir -p "$2/strace/src"
cd "$1"
tar -c --exclude='*.o' --exclude='*.c' --exclude='*.a' --exclude='*.Po' --exclude=.deps tests | tar -x -C "$2/strace"
cp src/strace src/strace-log-merge src/config.h "$2/strace/src/"`
	if out, err := exec.Command("sh", "-c", copyTests, "sh", source, root).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot copy strace's tests: %w\n%s", err, out)
	}
	script := "#!/bin/sh\ncd /strace/tests\n" + `exec env STRACE_ARCH=x86_64 STRACE_NATIVE_ARCH=x86_64 SIZEOF_KERNEL_LONG_T=8 SIZEOF_LONG=8 MIPS_ABI= srcdir=. ./run.sh ./"$1.test"` + "\n"
	if err := os.WriteFile(filepath.Join(root, "strace/one"), []byte(script), 0o755); err != nil {
		return nil, err
	}
	const perJob = 60
	names := strings.Fields(straceTests)
	var jobs []job
	for first := 0; first < len(names); first += perJob {
		j, err := straceJob(root, fmt.Sprint(first/perJob), names[first:min(first+perJob, len(names))])
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// againStrace returns a job that runs some tests again.
func againStrace(root string, names []string) (job, error) { return straceJob(root, "again", names) }

func straceJob(root, name string, names []string) (job, error) {
	var tests []batchTest
	for _, test := range names {
		tests = append(tests, batchTest{test, straceSeconds, "/strace/one " + test})
	}
	return batchJob(root, name, tests)
}
