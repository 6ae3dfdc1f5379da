package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// Environment of both sides.
var environment = []string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/root", "TMPDIR=/tmp"}

// workDirectory holds sources and root directories.
var workDirectory string

// defaultSeconds is a job's time limit if it has none of its own.
const defaultSeconds = 60

func (j job) limit() time.Duration {
	if j.seconds > 0 {
		return time.Duration(j.seconds) * time.Second
	}
	return defaultSeconds * time.Second
}

// onLinux runs a job in a copy of the root and returns what it printed.
func onLinux(root string, j job) string {
	// The copy is what Slowpath has too: each run starts from the same files.
	copied := root + ".linux"
	os.RemoveAll(copied)
	defer os.RemoveAll(copied)
	if out, err := exec.Command("cp", "-a", root, copied).CombinedOutput(); err != nil {
		return fmt.Sprintf("cp: %v, %s", err, out)
	}
	const enter = `mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" && dir=$2 && root=$1 && shift 2 &&
exec chroot "$root" /bin/busybox sh -c 'cd "$0" && exec "$@"' "$dir" "$@"`
	args := append([]string{"-m", "-p", "-f", "--kill-child", "sh", "-c", enter, "sh", copied, j.workdir}, j.command...)
	return output(j, "unshare", args)
}

// onSlowpath runs a job on the kernel.
func onSlowpath(root string, j job) string {
	args := []string{"run", "--rootfs", root, "--workdir", j.workdir, "--mem", "1G", "--smp", "2", "--timeout", fmt.Sprint(j.limit())}
	for _, e := range environment {
		args = append(args, "--env", e)
	}
	return output(j, "bin/slowpath", append(args, j.command...))
}

// output runs a command and returns what it printed before its end or the end
// of the time.
func output(j job, name string, args []string) string {
	ctx, cancel := context.WithTimeout(context.Background(), j.limit()+10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(environment, "PATH="+os.Getenv("PATH"))
	out, _ := cmd.CombinedOutput()
	return string(out)
}
