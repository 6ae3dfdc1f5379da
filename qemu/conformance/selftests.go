package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"slowpath/qemu/conformance/selftests"
	"slowpath/qemu/initramfs"
)

// selftestsName is the suite's name on the command line and its directory.
const selftestsName = "selftests"

// runSelftests builds and runs Linux's own tests whose names begin with one of the
// prefixes, or all, and prints a table of the results. If linux is not nil, it runs
// them on Debian's kernel too. It fails if a test passes fewer checks than expected.
func runSelftests(work string, prefixes []string, linux *cloudKernel, report io.Writer) error {
	tests, err := selftests.All()
	if err != nil {
		return err
	}
	tests = slices.DeleteFunc(tests, func(t selftests.Test) bool {
		return len(prefixes) > 0 && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(t.Name, p) })
	})
	if err := selftests.Fetch(work); err != nil {
		return err
	}
	if err := installLibraries(); err != nil {
		return err
	}
	programs, err := selftests.Build(work, tests)
	if err != nil {
		return err
	}
	results := make([]selftests.Result, len(tests))
	const parallel = 2
	err = inParallel(selftestsName, len(tests), parallel, func(i int) (name string, err error) {
		results[i], err = runSelftest(tests[i], linux, programs, filepath.Join(work, "output"))
		return tests[i].Name, err
	})
	if err != nil {
		return err
	}
	text, lost := selftests.Report(results)
	fmt.Fprint(report, text)
	if lost > 0 {
		return fmt.Errorf("%d of Linux's self-tests pass fewer checks than qemu/conformance/selftests/expected.tsv expects; the table above marks them LOST; their output is in %s", lost, filepath.Join(work, "output"))
	}
	return nil
}

// runSelftest runs a test on Slowpath, and on Debian's kernel if linux is not nil.
// It writes the test's output into a file of the directory output.
func runSelftest(test selftests.Test, linux *cloudKernel, programs, output string) (selftests.Result, error) {
	r := selftests.Result{Test: test, Baseline: selftests.NoBaseline}
	if test.Later {
		return r, nil
	}
	file := filepath.Join(output, strings.ReplaceAll(test.Name, "/", "."))
	if err := os.MkdirAll(output, 0o755); err != nil {
		return r, err
	}
	var text string
	r.Passed, text = test.Run("bin/slowpath", programs)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil || linux == nil {
		return r, err
	}
	text, err := linux.selftest(test, programs)
	if err != nil {
		return r, err
	}
	r.Baseline = selftests.CountPassed(text)
	return r, os.WriteFile(file+".linux", []byte(text), 0o644)
}

// installLibraries installs the 32-bit C library and libcap, if one is missing.
// Some tests need them to build.
func installLibraries() error {
	const probe = "printf '#include <sys/capability.h>\nint main(void) { return 0; }' | gcc -m32 -static -x c -o /dev/null - 2>/dev/null"
	packages := strings.Join(selftests.Packages, " ")
	install := "apt-get install -y " + packages
	out, err := exec.Command("sh", "-c", probe+" || "+install+" || { apt-get update && "+install+"; }").CombinedOutput()
	if err != nil {
		return fmt.Errorf("a library is missing; install it with: apt-get install %s (%w)\n%s", packages, err, out)
	}
	return nil
}

// selftest runs a test on Debian's kernel and returns its output.
func (k *cloudKernel) selftest(test selftests.Test, programs string) (output string, err error) {
	const bootSeconds = 60
	j := job{name: test.Name, command: test.Command(), seconds: bootSeconds + 2*test.Seconds}
	if test.IsScript() {
		return k.onCloudKernel(selftests.ScriptRoot(programs), j), nil
	}
	tree := initramfs.NewTree()
	tree.AddBase()
	if err := tree.HostFile("/bin/busybox", "/bin/busybox"); err != nil {
		return "", err
	}
	// As on Slowpath, a script finds a shell.
	tree.Symlink("/bin/sh", "busybox")
	if err := tree.HostFile(test.Guest(), programs+"/"+test.Name); err != nil {
		return "", err
	}
	return k.run(tree, j, test.CPU), nil
}
