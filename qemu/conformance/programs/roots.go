package programs

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"slowpath/qemu/debianroot"
)

// debuggees are the sources of the programs that are traced and debugged.
//
//go:embed debuggee
var debuggees embed.FS

// Root is a root directory with tools from Debian's packages and the programs of
// debuggee in /opt.
type Root struct {
	Name     string
	Packages []string
	Narrow   bool // it has the programs of debuggee for 32 bits too
	Delve    bool // it has Delve, built by the Go module proxy's source, in /usr/bin
	I386     bool // all its programs are 32-bit
}

// basic are the packages of every root.
var basic = []string{"dash", "coreutils", "sed", "grep", "mawk", "diffutils", "busybox-static"}

// Roots are the root directories of the scenarios. They are separate because the
// machine loads all of a root into its memory.
var Roots = []Root{
	{Name: "strace", Packages: []string{"strace"}},
	{Name: "gdb", Packages: []string{"gdb", "gdbserver", "libc6-i386"}, Narrow: true},
	{Name: "ltrace", Packages: []string{"ltrace"}},
	{Name: "bubblewrap", Packages: []string{"bubblewrap"}},
	{Name: "valgrind", Packages: []string{"valgrind", "libc6-dbg"}},
	{Name: "trace-cmd", Packages: []string{"trace-cmd"}},
	{Name: "audit", Packages: []string{"auditd", "mount"}},
	{Name: "delve", Delve: true},
	{Name: "perf", Packages: []string{"linux-perf", "mount"}},
	// Programs in Rust and in Pascal. The run-time library of Pascal makes most of its system calls itself.
	{Name: "i386", I386: true, Packages: []string{"ripgrep", "fd-find", "hexyl", "fp-compiler-3.2.2", "fp-units-rtl-3.2.2", "libc6-dev"}},
}

// delveModule is the module of Delve with its version.
const delveModule = "github.com/go-delve/delve/cmd/dlv@v1.27.2"

// Build makes the root directory below the directory work, if it is not there, and
// returns its path. Downloads are kept in the directory cache.
func (r Root) Build(work, cache string) (string, error) {
	root := filepath.Join(work, r.Name)
	mark := root + ".built"
	if _, err := os.Stat(mark); err == nil {
		return root, nil
	}
	if err := os.RemoveAll(root); err != nil {
		return "", err
	}
	if err := debianroot.FillFor(r.architecture(), root, cache, append(basic, r.Packages...)); err != nil {
		return "", err
	}
	if err := r.addDebuggees(root); err != nil {
		return "", err
	}
	if r.Narrow {
		if err := addNarrowDebuggees(root); err != nil {
			return "", err
		}
	}
	if r.Delve {
		if err := addDelve(root, cache); err != nil {
			return "", err
		}
	}
	if r.Name == "valgrind" {
		// Memcheck needs the symbols of the loader and of the C library only.
		const prune = `cd "$1/usr/lib/debug/.build-id" && keep=$(for f in ld-linux-x86-64.so.2 libc.so.6; do
  readelf -n "$1/usr/lib/x86_64-linux-gnu/$f" | sed -n 's/^ *Build ID: \(..\)\(.*\)/\1\/\2/p'; done)
find . -name '*.debug' | while read -r f; do case $keep in *"$(echo "${f#./}" | sed 's/.debug$//')"*) ;; *) rm "$f" ;; esac; done
cd "$1/usr/libexec/valgrind" && rm -f *x86-linux* $(ls | grep -E '^(exp|drd|helgrind|cachegrind|callgrind|massif|dhat|lackey|none|getoff)-amd64' || true)`
		if out, err := exec.Command("sh", "-c", prune, "sh", root).CombinedOutput(); err != nil {
			return "", fmt.Errorf("cannot prune valgrind's root: %w\n%s", err, out)
		}
	}
	return root, os.WriteFile(mark, nil, 0o644)
}

// architecture returns the architecture of the root's packages.
func (r Root) architecture() debianroot.Architecture {
	if r.I386 {
		return debianroot.I386
	}
	return debianroot.Amd64
}

// compilers are the settings of the compilers of C and of Go.
func (r Root) compilers() []string {
	if r.I386 {
		return []string{"CC=gcc -m32", "GOARCH=386"}
	}
	return []string{"CC=gcc", "GOARCH=amd64"}
}

// addDebuggees builds the programs of debuggee into /opt of a root directory: each C
// program statically, and dynamically with the suffix -dyn.
func (r Root) addDebuggees(root string) error {
	if err := os.CopyFS(filepath.Join(root, "opt"), debuggees); err != nil {
		return err
	}
	const build = `set -e
cd "$1/opt"
for source in debuggee/*.c; do
  name=$(basename $source .c)
  flags="-g -O0 -w -pthread -fno-stack-protector -ffile-prefix-map=$PWD=/opt"
  $CC $flags -static -o $name $source
  $CC $flags -o $name-dyn $source
done
cd debuggee/goroutines
CGO_ENABLED=0 GO111MODULE=off go build -trimpath -gcflags='all=-N -l' -o ../../goroutines main.go`
	cmd := exec.Command("sh", "-c", build, "sh", root)
	cmd.Env = append(os.Environ(), r.compilers()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the programs to debug; install gcc with: apt-get install gcc libc6-dev (%w)\n%s", err, out)
	}
	return nil
}

// addNarrowDebuggees builds the programs of debuggee that 32-bit scenarios need as 32-bit programs, statically with
// the suffix -32, and dynamically with the suffix -dyn-32.
func addNarrowDebuggees(root string) error {
	const build = `set -e
cd "$1/opt"
for name in calls crash spin threads; do
  source=debuggee/$name.c
  flags="-m32 -g -O0 -w -pthread -fno-stack-protector -ffile-prefix-map=$PWD=/opt"
  gcc $flags -static -o $name-32 $source
  gcc $flags -o $name-dyn-32 $source
done`
	if out, err := exec.Command("sh", "-c", build, "sh", root).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the 32-bit programs to debug; install the 32-bit C library with: apt-get install gcc-multilib libc6-dev-i386 (%w)\n%s", err, out)
	}
	return nil
}

// addDelve builds Delve into a root directory.
func addDelve(root, cache string) error {
	bin, err := filepath.Abs(filepath.Join(cache, "delve"))
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "install", delveModule)
	cmd.Dir = "/" // outside of this module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+bin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s; it needs the Go module proxy: %w\n%s", delveModule, err, out)
	}
	program, err := os.ReadFile(filepath.Join(bin, "dlv"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "usr/bin/dlv"), program, 0o755)
}

// ByName returns a root by its name. It fails with the names that there are.
func ByName(name string) (Root, error) {
	var names []string
	for _, r := range Roots {
		if r.Name == name {
			return r, nil
		}
		names = append(names, r.Name)
	}
	return Root{}, fmt.Errorf("there is no root %q; there are %s", name, strings.Join(names, ", "))
}
