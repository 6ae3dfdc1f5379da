package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/task"
)

const noAttributes = "Memory file systems here keep no extended attributes: EOPNOTSUPP, and lists are empty."

var xattrCalls = []Row{
	{Number: unix.SYS_SETXATTR, Name: "setxattr", Arguments: args(Path, Path, Pointer, Uint, Hex), Handler: attributeOfName(true), Partial: noAttributes},
	{Number: unix.SYS_LSETXATTR, Name: "lsetxattr", Arguments: args(Path, Path, Pointer, Uint, Hex), Handler: attributeOfName(false), Partial: noAttributes},
	{Number: unix.SYS_FSETXATTR, Name: "fsetxattr", Arguments: args(FD, Path, Pointer, Uint, Hex), Handler: attributeOfFile, Partial: noAttributes},
	{Number: unix.SYS_GETXATTR, Name: "getxattr", Arguments: args(Path, Path, Pointer, Uint), Handler: attributeOfName(true), Partial: noAttributes},
	{Number: unix.SYS_LGETXATTR, Name: "lgetxattr", Arguments: args(Path, Path, Pointer, Uint), Handler: attributeOfName(false), Partial: noAttributes},
	{Number: unix.SYS_FGETXATTR, Name: "fgetxattr", Arguments: args(FD, Path, Pointer, Uint), Handler: attributeOfFile, Partial: noAttributes},
	{Number: unix.SYS_LISTXATTR, Name: "listxattr", Arguments: args(Path, Pointer, Uint), Handler: listAttributes(true), Partial: noAttributes},
	{Number: unix.SYS_LLISTXATTR, Name: "llistxattr", Arguments: args(Path, Pointer, Uint), Handler: listAttributes(false), Partial: noAttributes},
	{Number: unix.SYS_FLISTXATTR, Name: "flistxattr", Arguments: args(FD, Pointer, Uint), Handler: listFileAttributes, Partial: noAttributes},
	{Number: unix.SYS_REMOVEXATTR, Name: "removexattr", Arguments: args(Path, Path), Handler: attributeOfName(true), Partial: noAttributes},
	{Number: unix.SYS_LREMOVEXATTR, Name: "lremovexattr", Arguments: args(Path, Path), Handler: attributeOfName(false), Partial: noAttributes},
	{Number: unix.SYS_FREMOVEXATTR, Name: "fremovexattr", Arguments: args(FD, Path), Handler: attributeOfFile, Partial: noAttributes},
}

// maxAttributeName is XATTR_NAME_MAX with the terminating zero.
const maxAttributeName = 256

// attributeName reads and checks the name of an attribute (xattr(7)).
func attributeName(t *task.Task, address uint64) error {
	name, err := t.CopyInString(address, maxAttributeName)
	if err == unix.ENAMETOOLONG || err == nil && name == "" {
		return unix.ERANGE
	}
	return err
}

// lookAt finds a file by its path name, which is all that can go wrong before
// attributes are asked for.
func lookAt(t *task.Task, a *amd64.Args, follow bool) error {
	flags := uint64(unix.AT_SYMLINK_NOFOLLOW)
	if follow {
		flags = 0
	}
	_, err := withPlace(t, here, a[0], flags, func(fs.Path) error { return nil })
	return err
}

func attributeOfName(follow bool) Handler {
	return func(t *task.Task, a *amd64.Args) (uint64, error) {
		if err := attributeName(t, a[1]); err != nil {
			return 0, err
		}
		if err := lookAt(t, a, follow); err != nil {
			return 0, err
		}
		return 0, unix.EOPNOTSUPP
	}
}

func attributeOfFile(t *task.Task, a *amd64.Args) (uint64, error) {
	if err := attributeName(t, a[1]); err != nil {
		return 0, err
	}
	return withFile(t, a[0], func(*fs.File) (uint64, error) { return 0, unix.EOPNOTSUPP })
}

func listAttributes(follow bool) Handler {
	return func(t *task.Task, a *amd64.Args) (uint64, error) { return 0, lookAt(t, a, follow) }
}

func listFileAttributes(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(*fs.File) (uint64, error) { return 0, nil })
}
