package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"

	"slowpath/qemu/conformance/selftests"
	"slowpath/qemu/initramfs"
)

// selftestsName is the suite's name on the command line and its directory.
const selftestsName = "selftests-x86"

// runSelftests builds and runs Linux's own tests of its entry code and prints a
// table of the results. If linux is not nil, it runs them on Debian's kernel too.
// It fails if a test passes fewer checks than expected.
func runSelftests(work string, linux *cloudKernel, report io.Writer) error {
	tests, err := selftests.All()
	if err != nil {
		return err
	}
	if err := selftests.Fetch(work); err != nil {
		return err
	}
	if err := installMultilib(); err != nil {
		return err
	}
	programs, err := selftests.Build(work, tests)
	if err != nil {
		return err
	}
	var results []selftests.Result
	for i, test := range tests {
		fmt.Fprintf(os.Stderr, "\r%s %d/%d %-40.40s", selftestsName, i+1, len(tests), test.Name)
		r := selftests.Result{Test: test, Baseline: selftests.NoBaseline}
		r.Passed, _ = test.Run("bin/slowpath", programs)
		if linux != nil {
			if r.Baseline, err = linux.selftest(test, programs); err != nil {
				return err
			}
		}
		results = append(results, r)
	}
	fmt.Fprintln(os.Stderr)
	text, lost := selftests.Report(results)
	fmt.Fprint(report, text)
	if lost > 0 {
		return fmt.Errorf("%d of Linux's self-tests pass fewer checks than qemu/conformance/selftests/x86.tsv expects; the table above marks them LOST", lost)
	}
	return nil
}

// installMultilib installs the 32-bit C library, if it is missing. Some of the
// 64-bit tests need it to build.
func installMultilib() error {
	const probe = "echo 'int main(void) { return 0; }' | gcc -m32 -static -x c -o /dev/null - 2>/dev/null"
	const packages = "gcc-multilib libc6-dev-i386"
	const install = "apt-get install -y " + packages
	out, err := exec.Command("sh", "-c", probe+" || "+install+" || { apt-get update && "+install+"; }").CombinedOutput()
	if err != nil {
		return fmt.Errorf("a 32-bit C library is missing; install it with: apt-get install %s (%w)\n%s", packages, err, out)
	}
	return nil
}

// selftest runs a test on Debian's kernel and returns how many of its checks
// passed.
func (k *cloudKernel) selftest(test selftests.Test, programs string) (passed int, err error) {
	tree := initramfs.NewTree()
	tree.AddBase()
	if err := tree.HostFile("/bin/busybox", "/bin/busybox"); err != nil {
		return 0, err
	}
	if err := tree.HostFile("/selftests/"+test.Name, programs+"/"+test.Name); err != nil {
		return 0, err
	}
	// Linux boots first, and passes the ptrace tests, which take longest.
	const limitFactor = 3
	j := job{name: test.Name, command: test.Command(), seconds: limitFactor * selftests.Seconds}
	return selftests.CountPassed(k.run(tree, j, test.CPU)), nil
}
