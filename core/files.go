package core

import (
	"fmt"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/devfs"
	"slowpath/fs/pipe"
	"slowpath/fs/procfs"
	"slowpath/fs/tmpfs"
	"slowpath/fs/tty"
	"slowpath/mm"
	"slowpath/task"
)

// NewMounts returns a mount namespace with an empty tmpfs as its root, and a caller
// for file operations of the kernel itself. The drivers of the memory devices are
// registered.
func NewMounts(memory *mm.Memory, devices devfs.Config) (*fs.Mounts, fs.KernelCaller) {
	mounts := fs.NewMounts(tmpfs.New(memory, tmpfs.Config{Mode: 0o755}), pipe.Open)
	mounts.SetMemory(memory)
	mounts.Settings = memory.Settings()
	tmpfs.Register(mounts, memory)
	devfs.Register(mounts, devices)
	return mounts, fs.KernelCaller{Context: fs.NewContext(mounts)}
}

// MountDevices creates the mount points that do not exist yet, and mounts and fills
// /dev.
func MountDevices(root fs.KernelCaller, memory *mm.Memory) error {
	for _, directory := range []string{"/dev", "/proc", "/sys", "/tmp"} {
		at(root, directory).MakeDirectory(0o755) // fails if the initramfs has it
	}
	if err := at(root, "/dev").MountAt(tmpfs.New(memory, tmpfs.Config{Mode: 0o755}), "devtmpfs", 0); err != nil {
		return fmt.Errorf("/dev cannot be mounted: %w", err)
	}
	return devfs.Populate(root, "/dev")
}

// MountSystemFiles mounts the file systems that show the tasks: /proc, /sys for the
// given CPUs, and /dev/pts. It registers /dev/tty and /dev/ptmx.
func MountSystemFiles(root fs.KernelCaller, k *task.Kernel, proc *procfs.Filesystem, cpus procfs.SysfsCPUs) error {
	mounts := root.Context.Mounts()
	for _, m := range []struct {
		point, name string
		files       fs.Filesystem
	}{{"/proc", "proc", proc}, {"/sys", "sysfs", procfs.NewSysfs(cpus)}} {
		mounts.Register(m.name, func(string) (fs.Filesystem, error) { return m.files, nil })
		if err := at(root, m.point).MountAt(m.files, m.name, 0); err != nil {
			return fmt.Errorf("%s cannot be mounted: %w", m.point, err)
		}
	}
	pts := tty.NewPTS(k)
	tty.Register(mounts, pts, nil)
	if err := at(root, "/dev/pts").MountAt(pts, "devpts", unix.MS_NOSUID|unix.MS_NOEXEC); err != nil {
		return fmt.Errorf("/dev/pts cannot be mounted: %w", err)
	}
	return nil
}

// at returns a path for file operations of the kernel itself.
func at(root fs.KernelCaller, name string) fs.At {
	return fs.At{Caller: root, Name: name, Follow: true}
}
