package selftests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The package, where it puts Linux's sources if it is installed, and the parts
// of them that the tests need.
const (
	sourcePackage = "linux-source-6.1"
	sourceTarball = "/usr/src/linux-source-6.1.tar.xz"
)

var sourceParts = []string{"tools/testing/selftests/x86", "tools/testing/selftests/lib.mk", "tools/testing/selftests/kselftest.h",
	"tools/include", "tools/scripts", "tools/arch/x86/include", "scripts", "arch/x86/include"}

// unpackSource unpacks those parts in the current directory. If the package is
// not installed it is downloaded, but not kept: it has 138 MB, the parts 9.
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

// Fetch unpacks the tests' sources below the directory work, unless it did so
// before. It needs Debian 12, and its package archive if the package
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
		return fmt.Errorf("cannot unpack Linux's sources; install them by: apt-get install %s (%w)\n%s", sourcePackage, err, out)
	}
	return nil
}

// sourceDirectory is where Fetch leaves the tests. It is there only when all is
// unpacked.
func sourceDirectory(work string) string {
	return filepath.Join(work, "source/tools/testing/selftests/x86")
}

// Build builds the tests' programs below the directory work, where Fetch was,
// and returns the directory they are in. A test whose program needs a 32-bit C
// library does not build without gcc-multilib; which those are the error says.
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
		return "", fmt.Errorf("cannot build all of Linux's self-tests; perhaps by: apt-get install gcc-multilib (%w)\n%s", err, out)
	}
	return programs, nil
}
