package task

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// directoriesSubsystem is root, working directory and umask.
var directoriesSubsystem = Subsystem{
	Name: "directories",
	Fork: func(parent, child *Task, a *CloneArgs) error {
		if a.Flags&unix.CLONE_FS != 0 {
			var err error
			child.FS, err = parent.FS.Share()
			return err
		}
		child.FS = parent.FS.Copy()
		return nil
	},
	Undo: (*Task).releaseFS,
	Exit: (*Task).releaseFS,
}

// filesSubsystem is the descriptor table.
var filesSubsystem = Subsystem{
	Name: "files",
	Fork: func(parent, child *Task, a *CloneArgs) error {
		if a.Flags&unix.CLONE_FILES != 0 {
			child.FDs = parent.FDs.Share()
		} else {
			var err error
			child.FDs, err = parent.FDs.Copy()
			return err
		}
		return nil
	},
	Undo: (*Task).releaseFiles,
	Exec: func(t *Task, _ *Execution) {
		if t.FDs.Users() > 1 && t.UnshareFiles() != nil {
			t.ForceFatal(unix.SIGSEGV) // as on Linux, execve cannot fail any more
			return
		}
		t.FDs.CloseOnExec()
	},
	Exit: (*Task).releaseFiles,
}

// replaceFiles makes next the descriptor table, and gives up the old one.
func (t *Task) replaceFiles(next *fs.FDTable) {
	t.resources.Lock()
	old := t.FDs
	t.FDs = next
	t.resources.Unlock()
	if old != nil {
		old.Release()
	}
}

// replaceFS makes next the directories, and gives up the old ones.
func (t *Task) replaceFS(next *fs.Context) {
	t.resources.Lock()
	old := t.FS
	t.FS = next
	t.resources.Unlock()
	if old != nil {
		old.Release()
	}
}

func (t *Task) releaseFiles() { t.replaceFiles(nil) }

func (t *Task) releaseFS() { t.replaceFS(nil) }

// UnshareFiles gives the task a descriptor table of its own (unshare(2),
// CLONE_FILES). Error: ENOMEM.
func (t *Task) UnshareFiles() error {
	own, err := t.FDs.Copy()
	if err == nil {
		t.replaceFiles(own)
	}
	return err
}

// UnshareFS gives the task directories of its own (unshare(2), CLONE_FS).
func (t *Task) UnshareFS() { t.replaceFS(t.FS.Copy()) }

// ExitSignal returns the signal that the parent gets at the exit of the task, or
// 0. Any goroutine may call it.
func (t *Task) ExitSignal() int {
	t.kernel.mu.RLock()
	defer t.kernel.mu.RUnlock()
	return int(t.exitSignal)
}
