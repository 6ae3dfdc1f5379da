package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"slowpath/qemu/initramfs"
)

// cloudKernel is Debian's Linux for virtual machines. As the baseline, it runs the
// same programs in the same QEMU.
type cloudKernel struct {
	image string // path of its vmlinuz
	work  string // directory for the image and the archive of one run
}

// cloudPackage is the package that depends on Debian 12's newest cloud kernel,
// which is a Linux 6.1.
const cloudPackage = "linux-image-cloud-amd64"

// fetchCloudKernel downloads the kernel's package, if that was not done before, and
// extracts the image. It installs nothing.
func fetchCloudKernel(work string) (*cloudKernel, error) {
	directory := filepath.Join(work, "cloudkernel")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, err
	}
	k := &cloudKernel{work: directory}
	const script = `set -e
depends() { apt-cache depends "$1" | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1; }
package=$(depends "$1")
[ "$package" ] || { apt-get update && package=$(depends "$1"); }
apt-get download "$package"
dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x --wildcards './boot/vmlinuz-*'
rm "$package"_*.deb`
	if k.image = k.find(); k.image == "" {
		cmd := exec.Command("sh", "-c", script, "sh", cloudPackage)
		cmd.Dir = directory
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("cannot fetch %s; it needs Debian 12 and its package archive: %w\n%s", cloudPackage, err, out)
		}
		if k.image = k.find(); k.image == "" {
			return nil, fmt.Errorf("%s has no kernel image", cloudPackage)
		}
	}
	return k, nil
}

// find returns the path of the image, or nothing if it was not fetched yet.
func (k *cloudKernel) find() string {
	found, _ := filepath.Glob(k.work + "/boot/vmlinuz-*")
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

// The lines on the console before and after the job's output.
const (
	jobBegins = "slowpath: the job begins"
	jobEnds   = "slowpath: the job ends with "
)

// initScript is the init program of the virtual machine. The job is neither a
// session leader nor a process group leader, as on Slowpath.
const initScript = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox ln -s /proc/self/fd /dev/fd
/bin/busybox mkdir -p /dev/shm
/bin/busybox mount -t tmpfs shm /dev/shm
export %s
cd %s
/bin/busybox echo '` + jobBegins + `'
%s
/bin/busybox echo "` + jobEnds + `$?"
/bin/busybox poweroff -f
`

// run boots the kernel with the tree as its root file system and returns the job's
// output. The tree must have /bin/busybox and the directories /proc, /sys and
// /dev.
func (k *cloudKernel) run(tree *initramfs.Tree, j job, cpu string) string {
	var words []string
	for _, w := range j.command {
		words = append(words, quote(w))
	}
	var variables []string
	for _, e := range environment {
		variables = append(variables, quote(e))
	}
	script := fmt.Sprintf(initScript, strings.Join(variables, " "), quote("/"+strings.TrimPrefix(j.workdir, "/")), strings.Join(words, " "))
	tree.File("/init", 0o755, []byte(script))
	archive, err := tree.Archive()
	if err != nil {
		return err.Error()
	}
	packed := filepath.Join(k.work, "initramfs-"+strings.ReplaceAll(j.name, "/", "-"))
	if err := os.WriteFile(packed, archive, 0o644); err != nil {
		return err.Error()
	}
	defer os.Remove(packed)
	return consoleOfJob(onHost(j, "qemu-system-x86_64", []string{"-M", "pc", "-accel", "tcg", "-cpu", cpu, "-smp", "2", "-m", "2G",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-kernel", k.image, "-initrd", packed, "-append", "console=ttyS0 loglevel=1 panic=-1 lsm="}))
}

// onCloudKernel runs a job in a copy of the root directory and returns its output.
func (k *cloudKernel) onCloudKernel(root string, j job) string {
	tree := initramfs.NewTree()
	if _, err := tree.HostDirectory(root); err != nil {
		return err.Error()
	}
	return k.run(tree, j, "max")
}

// consoleOfJob extracts the job's output from the console's text.
func consoleOfJob(console string) string {
	_, text, _ := strings.Cut(console, jobBegins)
	text, _, _ = strings.Cut(text, jobEnds)
	return strings.ReplaceAll(text, "\r\n", "\n")
}

// quote quotes a word for a POSIX shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
