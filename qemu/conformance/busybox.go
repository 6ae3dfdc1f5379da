package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// fetchBusybox returns the directory of busybox's source package.
func fetchBusybox() (string, error) { return fetchSource("busybox", "busybox-*", "testsuite") }

// hostBusybox is the 64-bit busybox of Debian's package busybox-static.
const hostBusybox = "/bin/busybox"

// busyboxFor returns busybox for a machine. For i386 it builds it from the source, with the
// configuration of Debian's static busybox, unless that was done before.
func busyboxFor(m machine) (string, error) {
	if m == amd64 {
		return hostBusybox, nil
	}
	source, err := fetchBusybox()
	if err != nil {
		return "", err
	}
	build := filepath.Join(workDirectory, "busybox-i386")
	program := filepath.Join(build, "busybox")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	const script = `set -e
rm -rf "$2"; cp -r "$1" "$2"; cd "$2"
tar -xOf "$1"/../busybox_*.debian.tar.xz debian/config/pkg/static >.config
yes '' | make oldconfig >/dev/null
make -j2 CC='gcc -m32' LD='ld -m elf_i386' busybox`
	if out, err := exec.Command("sh", "-c", script, "sh", source, build).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build busybox for i386; it needs gcc-multilib and libc6-dev-i386: %w\n%s", err, out)
	}
	return program, nil
}

// setupBusybox fills a root directory with busybox, a link for each applet, and
// parts of busybox's source below /busybox. It returns the source's directory.
func setupBusybox(root string, m machine, parts ...string) (source string, err error) {
	if source, err = fetchBusybox(); err != nil {
		return "", err
	}
	program, err := busyboxFor(m)
	if err != nil {
		return "", err
	}
	script := `set -e
mkdir -p "$root/bin" "$root/usr/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/root" "$root/etc" "$root/busybox"
chmod 1777 "$root/tmp"
cp "$program" "$root/bin/busybox"; cp "$program" "$root/busybox/busybox"
for applet in $("$program" --list); do [ $applet = busybox ] || ln -sf busybox "$root/bin/$applet"; done
echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"; echo root:x:0: >"$root/etc/group"
tar -xOf "$source"/../busybox_*.debian.tar.xz debian/config/pkg/static >"$root/busybox/.config"
for part in "$@"; do mkdir -p "$root/busybox/$(dirname $part)"; cp -a "$source/$part" "$root/busybox/$part"; done`
	cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, parts...)...)
	cmd.Env = append(os.Environ(), "root="+root, "source="+source, "program="+program)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot fill the root directory: %w\n%s", err, out)
	}
	return source, nil
}

// leftOut names the applets whose tests cannot run in the root directory on either
// side.
var leftOut = map[string]bool{"bc": true, "dc": true, "wget": true, "ping": true, "all_sourcecode": true, "ash": true}

// setupApplets returns a job for each applet that has tests.
func setupApplets(root string, m machine) ([]job, error) {
	source, err := setupBusybox(root, m, "testsuite")
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(source, "testsuite"))
	if err != nil {
		return nil, err
	}
	var jobs []job
	seen := make(map[string]bool)
	for _, e := range entries {
		name, isTests := strings.CutSuffix(e.Name(), ".tests")
		if !isTests && !e.IsDir() || leftOut[name] || seen[name] {
			continue
		}
		seen[name] = true
		jobs = append(jobs, job{
			name:    name,
			command: []string{"/bin/sh", "-c", "VERBOSE= bindir=/busybox tsdir=/busybox/testsuite ./runtest " + name},
			workdir: "/busybox/testsuite",
		})
	}
	return jobs, nil
}

// parseApplets reads result lines such as "PASS: name".
func parseApplets(output string) map[string]bool {
	results := make(map[string]bool)
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "PASS: "); ok {
			results[name] = true
		} else if name, ok := strings.CutPrefix(line, "FAIL: "); ok {
			results[name] = false
		}
	}
	return results
}

// setupAsh returns a job for each directory of the shell's tests.
func setupAsh(root string, m machine) ([]job, error) {
	source, err := setupBusybox(root, m, "shell/ash_test")
	if err != nil {
		return nil, err
	}
	tests := filepath.Join(root, "busybox/shell/ash_test")
	for _, name := range []string{"printenv", "recho", "zecho"} {
		cmd := exec.Command("gcc", m.compilerFlag(), "-O2", "-static", "-w", "-o", filepath.Join(tests, name), filepath.Join(tests, name+".c"))
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("gcc: %w, %s", err, out)
		}
	}
	directories, err := filepath.Glob(source + "/shell/ash_test/ash-*")
	if err != nil {
		return nil, err
	}
	var jobs []job
	for _, directory := range directories {
		name := filepath.Base(directory)
		jobs = append(jobs, job{
			name:    name,
			command: []string{"/bin/sh", "-c", "./run-all " + name},
			workdir: "/busybox/shell/ash_test",
			seconds: ashSeconds(name),
		})
	}
	return jobs, nil
}

// ashSeconds returns the time limit for a directory of the shell's tests.
// ash-z_slow forks 30,000 times from a shell with 1,200 variables. It takes 6
// seconds of user time on Linux, and 110 seconds under QEMU's emulation on an idle
// host.
func ashSeconds(directory string) int {
	if directory == "ash-z_slow" {
		return 900
	}
	return 180
}

// parseAsh reads result lines such as "ash-misc/name.tests: ok".
func parseAsh(output string) map[string]bool {
	results := make(map[string]bool)
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutSuffix(line, ": ok"); ok {
			results[name] = true
		} else if name, ok := strings.CutSuffix(line, ": fail"); ok {
			results[name] = false
		}
	}
	return results
}
