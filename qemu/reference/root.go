package reference

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// enterRoot makes the directory $1 the root and executes the command $3... in its
// directory $2. The root directory needs /bin/sh and /bin/busybox. A chroot(2) would
// not do: a program in it may not create a user namespace.
const enterRoot = `mount --bind "$1" "$1" && mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" && mkdir "$1/.old" &&
root=$1 && dir=$2 && shift 2 && cd "$root" && pivot_root . .old && cd / && /bin/busybox umount -l /.old && /bin/busybox rmdir /.old &&
exec /bin/sh -c 'cd "$0" && exec "$@"' "$dir" "$@"`

// InRoot runs a command on the host's Linux in a copy of a root directory, in mount and
// pid namespaces of its own, and returns what it prints. It needs root. The command is
// process 1 there. It cannot set the host's clock: it lacks CAP_SYS_TIME. A command that
// fails is not an error, and what prevents its start is in the output. The context kills
// everything that the command has started.
func (l *Launcher) InRoot(ctx context.Context, env []string, root, workdir string, command ...string) (output string) {
	copied, err := os.MkdirTemp(filepath.Dir(root), filepath.Base(root)+".linux-")
	if err != nil {
		return err.Error()
	}
	defer os.RemoveAll(copied)
	if out, err := exec.Command("cp", "-aT", root, copied).CombinedOutput(); err != nil {
		return fmt.Sprintf("cp: %v, %s", err, out)
	}
	args := append([]string{"--bounding-set=-sys_time", "--inh-caps=-sys_time", "unshare", "-m", "-p", "-f", "--kill-child",
		"sh", "-c", enterRoot, "sh", copied, workdir}, command...)
	out, _ := l.Command(ctx, env, "setpriv", args...).CombinedOutput()
	return string(out)
}
