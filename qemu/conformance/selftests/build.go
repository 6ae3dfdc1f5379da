package selftests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The package with Linux's sources, and the file that it installs.
const (
	sourcePackage = "linux-source-6.1"
	sourceTarball = "/usr/src/linux-source-6.1.tar.xz"
)

// sourceParts are the parts of Linux's sources that the tests need.
var sourceParts = []string{"tools/testing/selftests/x86", "tools/testing/selftests/lib.mk", "tools/testing/selftests/kselftest.h",
	"tools/include", "tools/scripts", "tools/arch/x86/include", "scripts", "arch/x86/include"}

// unpackSource unpacks sourceParts in the current directory. If the package is not
// installed, the script downloads it and removes it afterwards: it has 138 MB, of
// which the parts are 9 MB.
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
	return filepath.Join(work, "source/tools/testing/selftests/x86")
}

// Build builds the programs of the tests from the sources that Fetch unpacked below
// the directory work. It returns the directory of the programs. It fails if a
// program does not build; some need the 32-bit C library of gcc-multilib.
func Build(work string, tests []Test) (programs string, err error) {
	programs = filepath.Join(work, "programs")
	if err := os.MkdirAll(programs, 0o755); err != nil {
		return "", err
	}
	arguments := []string{"-k", "-j2", "-C", sourceDirectory(work), "CC=gcc -static", "OUTPUT=" + programs, "KHDR_INCLUDES=-isystem /usr/include"}
	for _, test := range tests {
		arguments = append(arguments, filepath.Join(programs, test.Name))
	}
	if out, err := exec.Command("make", arguments...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build all of Linux's self-tests; if the 32-bit C library is missing, install it with: apt-get install gcc-multilib (%w)\n%s", err, out)
	}
	return programs, nil
}
