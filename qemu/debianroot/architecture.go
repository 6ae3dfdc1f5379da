package debianroot

import (
	_ "embed"
	"path/filepath"
)

// Architecture is a name that Debian has for a machine.
type Architecture string

// The architectures whose programs Slowpath runs.
const (
	Amd64 Architecture = "amd64"
	I386  Architecture = "i386"
)

// downloads returns the absolute path of the directory that keeps downloaded packages,
// below the directory cache. Each architecture has its own, because apt keeps the lists
// of one there.
func (a Architecture) downloads(cache string) (string, error) {
	name := "debian"
	if a != Amd64 {
		name += "-" + string(a)
	}
	return filepath.Abs(filepath.Join(cache, name))
}

// unpack unpacks packages without those that they depend on into a directory.
//
//go:embed unpack.sh
var unpack string

// Unpack unpacks packages of an architecture, without those that they depend on, into a
// directory. It is for libraries to link with, for which Fill would also unpack a
// compiler. cache is a directory that keeps the downloaded packages. It fails if a package
// does not exist or cannot be downloaded.
func Unpack(architecture Architecture, directory, cache string, packages []string) error {
	return architecture.run(unpack, directory, cache, packages)
}
