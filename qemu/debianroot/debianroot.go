// Package debianroot makes root directories from Debian's packages, for slowpath run
// --rootfs. Packages are downloaded and unpacked, not installed: their scripts do not
// run, and the host's packages do not matter. It needs Debian 12's package archive.
package debianroot

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// fill unpacks the packages $3... and what they depend on into the root directory $1.
// $2 is the directory in which downloaded packages are kept. apt resolves the
// dependencies as for a system without packages, in directories of its own, so no
// rights are needed.
//
//go:embed fill.sh
var fill string

// Fill fills a root directory with Debian packages, the packages they depend on, the
// directories that programs expect, and the users root and nobody. cache is a
// directory that keeps the downloaded packages. It fails if a package does not exist or
// cannot be downloaded.
func Fill(root, cache string, packages []string) error {
	downloads, err := filepath.Abs(filepath.Join(cache, "debian"))
	if err != nil {
		return err
	}
	if root, err = filepath.Abs(root); err != nil {
		return err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	cmd := exec.Command("sh", append([]string{"-c", fill, "sh", root, downloads}, packages...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot make a root directory from the packages %s; it needs Debian 12's package archive (%w)\n%s", strings.Join(packages, " "), err, out)
	}
	return nil
}
