package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/task"
)

func sysMkdir(t *task.Task, a *amd64.Args) (uint64, error) {
	return withName(t, atCWD, a[0], func(at fs.At) error { return at.MakeDirectory(uint32(a[1])) })
}

func sysMkdirat(t *task.Task, a *amd64.Args) (uint64, error) {
	return withName(t, a[0], a[1], func(at fs.At) error { return at.MakeDirectory(uint32(a[2])) })
}

// makeNode is mknodat(2). A mode without a file type means a regular file.
func makeNode(t *task.Task, directory, address, mode, device uint64) (uint64, error) {
	kind := uint32(mode) & unix.S_IFMT
	switch kind {
	case 0:
		mode |= unix.S_IFREG
	case unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK:
	case unix.S_IFDIR:
		return 0, unix.EPERM
	default:
		return 0, unix.EINVAL
	}
	return withName(t, directory, address, func(at fs.At) error {
		_, err := at.MakeNode(uint32(mode)&(unix.S_IFMT|0o7777), uint64(uint32(device)))
		return err
	})
}

func sysMknod(t *task.Task, a *amd64.Args) (uint64, error) {
	return makeNode(t, atCWD, a[0], a[1], a[2])
}

func sysMknodat(t *task.Task, a *amd64.Args) (uint64, error) {
	return makeNode(t, a[0], a[1], a[2], a[3])
}

func sysRmdir(t *task.Task, a *amd64.Args) (uint64, error) {
	return withName(t, atCWD, a[0], fs.At.RemoveDirectory)
}

func sysUnlink(t *task.Task, a *amd64.Args) (uint64, error) {
	return withName(t, atCWD, a[0], fs.At.Unlink)
}

func sysUnlinkat(t *task.Task, a *amd64.Args) (uint64, error) {
	switch uint32(a[2]) {
	case 0:
		return withName(t, a[0], a[1], fs.At.Unlink)
	case unix.AT_REMOVEDIR:
		return withName(t, a[0], a[1], fs.At.RemoveDirectory)
	}
	return 0, unix.EINVAL
}

// withTwoNames runs operation on two decoded path names.
// The second name is read first, as in Linux's kernel: audit shows the names in the order
// in which they were read.
func withTwoNames(t *task.Task, directory1, address1, directory2, address2 uint64, operation func(a, b fs.At) error) (uint64, error) {
	second, secondErr := t.CopyInPath(address2)
	return withName(t, directory1, address1, func(a fs.At) error {
		if secondErr != nil {
			return secondErr
		}
		b, err := startAt(t, directory2, second)
		if err != nil {
			return err
		}
		defer releaseStart(b)
		return operation(a, b)
	})
}

func rename(t *task.Task, directory1, address1, directory2, address2, flags uint64) (uint64, error) {
	return withTwoNames(t, directory1, address1, directory2, address2, func(from, to fs.At) error {
		return from.RenameTo(to, uint(uint32(flags)))
	})
}

func sysRename(t *task.Task, a *amd64.Args) (uint64, error) {
	return rename(t, atCWD, a[0], atCWD, a[1], 0)
}

func sysRenameat(t *task.Task, a *amd64.Args) (uint64, error) {
	return rename(t, a[0], a[1], a[2], a[3], 0)
}

func sysRenameat2(t *task.Task, a *amd64.Args) (uint64, error) {
	return rename(t, a[0], a[1], a[2], a[3], a[4])
}

func link(t *task.Task, directory1, address1, directory2, address2, flags uint64) (uint64, error) {
	if flags&^(unix.AT_SYMLINK_FOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	if flags&unix.AT_EMPTY_PATH != 0 && !t.Credentials().Has(cred.DACReadSearch) {
		return 0, unix.ENOENT
	}
	return withTwoNames(t, directory1, address1, directory2, address2, func(old, at fs.At) error {
		old.Follow = flags&unix.AT_SYMLINK_FOLLOW != 0
		old.Empty = flags&unix.AT_EMPTY_PATH != 0
		return at.LinkTo(old)
	})
}

func sysLink(t *task.Task, a *amd64.Args) (uint64, error) {
	return link(t, atCWD, a[0], atCWD, a[1], 0)
}

func sysLinkat(t *task.Task, a *amd64.Args) (uint64, error) {
	return link(t, a[0], a[1], a[2], a[3], a[4]&0xffffffff)
}

func symlink(t *task.Task, target, directory, address uint64) (uint64, error) {
	name, nameErr := t.CopyInPath(address) // before the target: see withTwoNames
	text, err := t.CopyInPath(target)
	if err == nil {
		err = nameErr
	}
	if err != nil {
		return 0, err
	}
	at, err := startAt(t, directory, name)
	if err != nil {
		return 0, err
	}
	defer releaseStart(at)
	return 0, at.MakeLink(text)
}

func sysSymlink(t *task.Task, a *amd64.Args) (uint64, error) {
	return symlink(t, a[0], atCWD, a[1])
}

func sysSymlinkat(t *task.Task, a *amd64.Args) (uint64, error) {
	return symlink(t, a[0], a[1], a[2])
}

func readLink(t *task.Task, directory, address, buffer, size uint64) (uint64, error) {
	if int32(size) <= 0 {
		return 0, unix.EINVAL
	}
	var length int
	_, err := withName(t, directory, address, func(at fs.At) error {
		at.Empty = true
		target, err := at.ReadLink()
		if err != nil {
			return err
		}
		length = min(len(target), int(size))
		return t.CopyOut(buffer, []byte(target[:length]))
	})
	return uint64(length), err
}

func sysReadlink(t *task.Task, a *amd64.Args) (uint64, error) {
	return readLink(t, atCWD, a[0], a[1], a[2])
}

func sysReadlinkat(t *task.Task, a *amd64.Args) (uint64, error) {
	return readLink(t, a[0], a[1], a[2], a[3])
}

func sysGetcwd(t *task.Task, a *amd64.Args) (uint64, error) {
	name, err := t.FS.WorkingDirectory()
	if err != nil {
		return 0, err
	}
	p := append([]byte(name), 0)
	if uint64(len(p)) > a[1] {
		return 0, unix.ERANGE
	}
	return uint64(len(p)), t.CopyOut(a[0], p)
}

func sysChdir(t *task.Task, a *amd64.Args) (uint64, error) {
	return withName(t, atCWD, a[0], fs.At.ChangeDirectory)
}

func sysFchdir(t *task.Task, a *amd64.Args) (uint64, error) {
	at, err := startAt(t, a[0], "")
	if err != nil {
		return 0, err
	}
	if at.Start == nil {
		return 0, unix.EBADF
	}
	defer releaseStart(at)
	at.Empty = true
	return 0, at.ChangeDirectory()
}

func sysChroot(t *task.Task, a *amd64.Args) (uint64, error) {
	return withName(t, atCWD, a[0], fs.At.ChangeRoot)
}

func sysUmask(t *task.Task, a *amd64.Args) (uint64, error) {
	return uint64(t.FS.SetUmask(uint32(a[0]))), nil
}

func sysMount(t *task.Task, a *amd64.Args) (uint64, error) {
	const magicMask, magic = 0xffff0000, 0xc0ed0000 // MS_MGC_VAL of old callers
	flags := a[3]
	if flags&magicMask == magic {
		flags &^= magicMask
	}
	texts := [3]string{}
	for i, address := range [3]uint64{a[0], a[2], a[4]} {
		if address == 0 {
			continue
		}
		text, err := t.CopyInString(address, 4096)
		if err != nil {
			return 0, err
		}
		texts[i] = text
	}
	return withName(t, atCWD, a[1], func(at fs.At) error { return at.Mount(texts[0], texts[1], flags, texts[2]) })
}

func sysUmount2(t *task.Task, a *amd64.Args) (uint64, error) {
	flags := int(int32(a[1]))
	return withName(t, atCWD, a[0], func(at fs.At) error {
		at.Follow = flags&unix.UMOUNT_NOFOLLOW == 0
		return at.Unmount(flags)
	})
}
