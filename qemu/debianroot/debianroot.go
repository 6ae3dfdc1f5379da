// Package debianroot makes root directories from Debian's packages, for slowpath run
// --rootfs. Packages are downloaded and unpacked, not installed: their scripts do not
// run, and the host's packages do not matter. It needs Debian 12's package archive.
package debianroot

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// common has the functions and variables of fill and unpack: $1 is the directory into which
// they unpack, $2 the directory in which downloaded packages are kept, and $3 the
// architecture. The packages follow.
//
//go:embed common.sh
var common string

// fill unpacks packages and what they depend on into a root directory. apt resolves the
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
	return FillFor(Amd64, root, cache, packages)
}

// FillFor is [Fill] for an architecture.
func FillFor(architecture Architecture, root, cache string, packages []string) error {
	return architecture.run(fill, root, cache, packages)
}

// run runs a script with the arguments that common expects.
func (a Architecture) run(script, directory, cache string, packages []string) error {
	downloads, err := a.downloads(cache)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	cmd := exec.Command("sh", append([]string{"-c", common + script, "sh", directory, downloads, string(a)}, packages...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot unpack the packages %s of %s; it needs Debian 12's package archive (%w)\n%s", strings.Join(packages, " "), a, err, out)
	}
	return nil
}
