package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"slowpath/qemu/reference"
)

// environment is the environment of jobs on both sides.
var environment = []string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/root", "TMPDIR=/tmp"}

// workDirectory is the directory for sources and root directories.
var workDirectory string

// launcher starts jobs on the host's Linux.
var launcher *reference.Launcher

// defaultSeconds is the time limit of a job that does not set one.
const defaultSeconds = 60

// limit returns the job's time limit.
func (j job) limit() time.Duration {
	if j.seconds > 0 {
		return time.Duration(j.seconds) * time.Second
	}
	return defaultSeconds * time.Second
}

// onLinux runs a job on the host's Linux in a copy of the root directory and
// returns its output. Each job starts with the same files, as on Slowpath.
func onLinux(root string, j job) string {
	ctx, cancel := context.WithTimeout(context.Background(), j.limit()+grace)
	defer cancel()
	return launcher.InRoot(ctx, hostEnvironment(), root, j.workdir, j.command...)
}

// onSlowpath runs a job on Slowpath and returns its output.
func onSlowpath(root string, j job) string {
	args := []string{"run", "--rootfs", root, "--workdir", j.workdir, "--mem", "1G", "--smp", "2", "--timeout", fmt.Sprint(j.limit())}
	for _, e := range environment {
		args = append(args, "--env", e)
	}
	return onHost(j, "bin/slowpath", append(args, j.command...))
}

// grace is the time that a job's command gets in addition to the job's limit, to
// end the job itself.
const grace = 10 * time.Second

// hostEnvironment returns the jobs' environment with this process's PATH.
func hostEnvironment() []string { return append(slices.Clone(environment), "PATH="+os.Getenv("PATH")) }

// onHost runs a host command for a job and returns its output until its end or
// the end of the time limit.
func onHost(j job, name string, args []string) string {
	ctx, cancel := context.WithTimeout(context.Background(), j.limit()+grace)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = hostEnvironment()
	return output(cmd)
}

// output returns what a command prints on standard output and standard error. A
// command that fails is not an error here: its output shows which tests passed.
func output(cmd *exec.Cmd) string {
	out, _ := cmd.CombinedOutput()
	return string(out)
}
