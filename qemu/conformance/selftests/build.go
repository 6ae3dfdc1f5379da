package selftests

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"slowpath/qemu/debianroot"
)

// The package with Linux's sources, and the file that it installs.
const (
	sourcePackage = "linux-source-6.1"
	sourceTarball = "/usr/src/linux-source-6.1.tar.xz"
)

// sourceParts are the parts of Linux's sources that the tests need.
var sourceParts = []string{"tools/testing/selftests", "tools/include", "tools/scripts", "tools/arch/x86/include", "scripts", "arch/x86/include",
	"mm/gup_test.h", "lib/test_hmm_uapi.h"}

// unpackSource unpacks sourceParts in the current directory. If the package is not
// installed, the script downloads it and removes it afterwards: it has 138 MB, of
// which the parts are 31 MB.
const unpackSource = `set -e
tarball=$1 package=$2
shift 2
if [ ! -e "$tarball" ]; then
  apt-get download "$package" || { apt-get update && apt-get download "$package"; }
  dpkg-deb --fsys-tarfile "$package"_*.deb | tar -xO ".$tarball" >source.tar.xz
  rm "$package"_*.deb
  tarball=source.tar.xz
fi
tar -xJf "$tarball" "$@"
rm -f source.tar.xz
mv "$package" source`

// Fetch unpacks the tests' sources below the directory work, unless they are there.
// It needs Debian 12, and access to Debian's package archive if the package
// linux-source-6.1 is not installed.
func Fetch(work string) error {
	if _, err := os.Stat(sourceDirectory(work)); err == nil {
		return nil
	}
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	arguments := []string{"-c", unpackSource, "sh", sourceTarball, sourcePackage}
	for _, part := range sourceParts {
		arguments = append(arguments, sourcePackage+"/"+part)
	}
	cmd := exec.Command("sh", arguments...)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot unpack Linux's sources; install them with: apt-get install %s (%w)\n%s", sourcePackage, err, out)
	}
	return nil
}

// sourceDirectory returns the directory into which Fetch unpacks the tests. It
// exists only after Fetch has unpacked everything.
func sourceDirectory(work string) string {
	return filepath.Join(work, "source/tools/testing/selftests")
}

// recipe builds a test whose makefile cannot build it statically. The first recipe
// whose prefix begins the test's name is used.
type recipe struct {
	prefix  string
	sources []string // below the test's folder
	flags   []string
}

// The flags of the recipes. The headers of tools/include come last, because they
// replace parts of the C library's.
var (
	rseqFlags   = []string{"-I.", "-idirafter", "../../../include", "-pthread"}
	nolibcFlags = []string{"-fno-asynchronous-unwind-tables", "-fno-ident", "-fno-stack-protector", "-nostdlib", "-include", "../../../include/nolibc/nolibc.h", "-lgcc"}
)

var recipes = []recipe{
	{"rseq/basic_test", []string{"basic_test.c", "rseq.c"}, rseqFlags},
	{"rseq/basic_percpu_ops_test", []string{"basic_percpu_ops_test.c", "rseq.c"}, rseqFlags},
	{"rseq/param_test_compare_twice", []string{"param_test.c", "rseq.c"}, append([]string{"-DRSEQ_COMPARE_TWICE"}, rseqFlags...)},
	{"rseq/param_test", []string{"param_test.c", "rseq.c"}, rseqFlags},
	{"openat2/openat2_test", []string{"openat2_test.c", "helpers.c"}, nil},
	{"openat2/resolve_test", []string{"resolve_test.c", "helpers.c"}, nil},
	{"openat2/rename_attack_test", []string{"rename_attack_test.c", "helpers.c"}, nil},
	{"exec/load_address.static.0x1000000", []string{"load_address.c"}, []string{"-static-pie", "-fPIE", "-Wl,-z,max-page-size=0x1000000"}},
	{"exec/load_address.static.0x200000", []string{"load_address.c"}, []string{"-static-pie", "-fPIE", "-Wl,-z,max-page-size=0x200000"}},
	{"exec/load_address.static.0x1000", []string{"load_address.c"}, []string{"-static-pie", "-fPIE", "-Wl,-z,max-page-size=0x1000"}},
	// glibc's clock_adjtime is linked beside the test's own.
	{"timers/valid-adjtimex", []string{"valid-adjtimex.c"}, []string{"-Wl,--allow-multiple-definition", "-lrt", "-pthread"}},
	{"nolibc/nolibc-test-glibc", []string{"nolibc-test.c"}, nil},
	{"nolibc/nolibc-test", []string{"nolibc-test.c"}, nolibcFlags},
}

// recipeOf returns the recipe of a test, if its makefile cannot build it.
func recipeOf(test Test) (recipe, bool) {
	i := slices.IndexFunc(recipes, func(r recipe) bool { return strings.HasPrefix(test.Source(), r.prefix) })
	if i < 0 {
		return recipe{}, false
	}
	return recipes[i], true
}

// command returns the compiler's command for a test.
func (r recipe) command(work string, test Test) *exec.Cmd {
	arguments := []string{"-O2", "-g", "-w", "-D_GNU_SOURCE", "-o", program(work, test)}
	if !slices.Contains(r.flags, "-static-pie") {
		arguments = append(arguments, "-static")
	}
	// A library must follow the sources that need it.
	arguments = append(append(arguments, r.sources...), r.flags...)
	if test.Is32() {
		arguments = append(arguments, "-m32")
	}
	cmd := exec.Command("gcc", arguments...)
	cmd.Dir = filepath.Join(sourceDirectory(work), test.Folder())
	return cmd
}

// program returns the path of a test's program.
func program(work string, test Test) string { return filepath.Join(programs(work), test.Name) }

// programs returns the directory of the programs.
func programs(work string) string { return filepath.Join(work, "programs") }

// Build builds the programs of the tests from the sources that Fetch unpacked below
// the directory work. It returns the directory of the programs. It fails if a
// program does not build; some need the packages of [Packages].
func Build(work string, tests []Test) (directory string, err error) {
	byFolder := make(map[build][]Test)
	var failures []error
	scripts, is32 := false, false
	for _, test := range tests {
		switch {
		case test.Later:
		case test.IsScript():
			scripts = true
		default:
			b := build{test.Folder(), test.Is32()}
			byFolder[b] = append(byFolder[b], test)
			is32 = is32 || b.is32
		}
	}
	if is32 {
		failures = append(failures, unpackLibraries32(work))
	}
	if scripts {
		failures = append(failures, buildScripts(work))
	}
	for b, tests := range byFolder {
		failures = append(failures, b.run(work, tests))
	}
	if err := errors.Join(failures...); err != nil {
		return "", fmt.Errorf("cannot build all of Linux's self-tests; if a library is missing, install it with: apt-get install %s (%w)", strings.Join(Packages, " "), err)
	}
	return programs(work), nil
}

// Packages are the Debian packages with the libraries that the tests need, in
// addition to gcc and libc6-dev.
var Packages = []string{"gcc-multilib", "libc6-dev-i386", "libcap-dev"}

// libraries32 returns the directory of the 32-bit libraries that gcc-multilib does not have.
func libraries32(work string) string { return filepath.Join(work, "libraries32") }

// unpackLibraries32 makes that directory, unless it was made before.
func unpackLibraries32(work string) error {
	if _, err := os.Stat(filepath.Join(archive32(work), "libcap.a")); err == nil {
		return nil
	}
	return debianroot.Unpack(debianroot.I386, libraries32(work), work, []string{"libcap-dev"})
}

// archive32 returns the folder of the static ones.
func archive32(work string) string { return filepath.Join(libraries32(work), "usr/lib/i386-linux-gnu") }

// build names the tests that one run of make builds.
type build struct {
	folder string // below tools/testing/selftests
	is32   bool
}

// compiler returns the compiler's command.
func (b build) compiler(work string) string {
	if b.is32 {
		return "gcc -m32 -static -L" + archive32(work)
	}
	return "gcc -static"
}

// run builds the tests.
func (b build) run(work string, tests []Test) error {
	output := path.Dir(program(work, tests[0]))
	if err := os.MkdirAll(output, 0o755); err != nil {
		return err
	}
	arguments := []string{"-k", "-j2", "-C", filepath.Join(sourceDirectory(work), b.folder), "CC=" + b.compiler(work), "OUTPUT=" + output, "KHDR_INCLUDES=-isystem /usr/include"}
	commands := []*exec.Cmd{}
	targets := 0
	for _, test := range tests {
		if r, ok := recipeOf(test); ok {
			commands = append(commands, r.command(work, test))
			continue
		}
		arguments = append(arguments, filepath.Join(output, path.Base(test.Name)))
		targets++
	}
	if targets > 0 {
		commands = append(commands, exec.Command("make", arguments...))
	}
	for _, cmd := range commands {
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", b.folder, err, out)
		}
	}
	return nil
}
