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

// stracePackages are the Debian packages with the tools of strace's test scripts, and the
// C library of 32-bit programs.
var stracePackages = []string{"bash", "busybox-static", "coreutils", "diffutils", "gawk", "grep", "procps", "sed", "util-linux", "libc6-i386"}

// straceBuild is how strace and the programs of its tests are built for a machine. strace
// itself is a 64-bit program.
type straceBuild struct {
	directory   string // below the directory of all sources
	mpers       string // the argument of --enable-mpers: which other programs strace decodes
	tests       string // the folder of the tests
	environment string // of a test
}

var straceBuilds = [...]straceBuild{
	amd64: {"strace-build", "no", "tests", "STRACE_ARCH=x86_64 STRACE_NATIVE_ARCH=x86_64 SIZEOF_KERNEL_LONG_T=8 SIZEOF_LONG=8"},
	i386:  {"strace-build-m32", "m32", "tests-m32", "STRACE_ARCH=i386 STRACE_NATIVE_ARCH=x86_64 SIZEOF_KERNEL_LONG_T=4 SIZEOF_LONG=4"},
}

// buildStrace builds strace and the programs of its tests in the directory $2 from the
// source $1. gawk extracts the types of 32-bit programs.
const buildStrace = `set -e
[ "$3" = no ] || command -v gawk || apt-get install -y gawk
rm -rf "$2"; cp -r "$1" "$2"
cd "$2"
./configure --enable-bundled=yes --enable-mpers="$3" CFLAGS='-O1 -g0'
make -j2
make -j2 -C "$4" check TESTS=
touch built`

// build builds strace and its tests, unless that was done before, and returns the directory.
func (b *straceBuild) build() (string, error) {
	source, err := fetchSource("strace", "strace-[0-9]*", "tests/init.sh")
	if err != nil {
		return "", err
	}
	directory := filepath.Join(filepath.Dir(source), b.directory)
	if _, err := os.Stat(filepath.Join(directory, "built")); err == nil {
		return directory, nil
	}
	if out, err := exec.Command("sh", "-c", buildStrace, "sh", source, directory, b.mpers, b.tests).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build strace: %w\n%s", err, out)
	}
	return directory, nil
}

// setupStrace builds strace and its tests and returns jobs that run them.
func setupStrace(root string, m machine) ([]job, error) {
	b := &straceBuilds[m]
	source, err := b.build()
	if err != nil {
		return nil, err
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
tar -c --exclude='*.o' --exclude='*.c' --exclude='*.a' --exclude='*.Po' --exclude=.deps "$3" | tar -x -C "$2/strace"
cp src/strace src/strace-log-merge src/config.h "$2/strace/src/"`
	if out, err := exec.Command("sh", "-c", copyTests, "sh", source, root, b.tests).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot copy strace's tests: %w\n%s", err, out)
	}
	script := "#!/bin/sh\ncd /strace/" + b.tests + "\nexec env " + b.environment + ` MIPS_ABI= srcdir=. ./run.sh ./"$1.test"` + "\n"
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
