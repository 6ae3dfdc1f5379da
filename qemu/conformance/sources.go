package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// debianSource is the entry of sources.list for Debian's source packages.
const debianSource = "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main\n"

// fetchSource downloads and unpacks a Debian source package without Debian's
// changes, if that was not done before. It returns the directory of the source,
// which the pattern names below the directory of all sources. mark is a file that
// the source has.
func fetchSource(packageName, pattern, mark string) (string, error) {
	work := filepath.Join(workDirectory, "source")
	find := func() string {
		found, _ := filepath.Glob(filepath.Join(work, pattern, mark))
		if len(found) == 0 {
			return ""
		}
		return found[0][:len(found[0])-len(mark)-1]
	}
	if directory := find(); directory != "" {
		return directory, nil
	}
	if err := os.MkdirAll(work+"/lists/partial", 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(work+"/sources.list", []byte(debianSource), 0o644); err != nil {
		return "", err
	}
	const script = `set -e
apt="apt-get -o Dir::Etc::sourcelist=$PWD/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$PWD/lists"
$apt update
$apt source --download-only "$1"
tar -xf "$1"_*.orig.tar.*z`
	cmd := exec.Command("sh", "-c", script, "sh", packageName)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot fetch the source package %s; it needs Debian's package archive: %w\n%s", packageName, err, out)
	}
	directory := find()
	if directory == "" {
		return "", fmt.Errorf("the source package %s has no %s/%s; remove %s and try again", packageName, pattern, mark, work)
	}
	return directory, nil
}
