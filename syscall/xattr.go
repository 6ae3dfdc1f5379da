package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/task"
)

const noAttributes = "The file systems store no extended attributes: the calls fail with EOPNOTSUPP, and lists are empty."

var xattrCalls = []Row{
	{Number: unix.SYS_SETXATTR, Name: "setxattr", Arguments: args(Path, Path, Pointer, Uint, Hex), Handler: attributeOfName(followLink), Partial: noAttributes},
	{Number: unix.SYS_LSETXATTR, Name: "lsetxattr", Arguments: args(Path, Path, Pointer, Uint, Hex), Handler: attributeOfName(keepLink), Partial: noAttributes},
	{Number: unix.SYS_FSETXATTR, Name: "fsetxattr", Arguments: args(FD, Path, Pointer, Uint, Hex), Handler: attributeOfFile, Partial: noAttributes},
	{Number: unix.SYS_GETXATTR, Name: "getxattr", Arguments: args(Path, Path, Pointer, Uint), Handler: attributeOfName(followLink), Partial: noAttributes},
	{Number: unix.SYS_LGETXATTR, Name: "lgetxattr", Arguments: args(Path, Path, Pointer, Uint), Handler: attributeOfName(keepLink), Partial: noAttributes},
	{Number: unix.SYS_FGETXATTR, Name: "fgetxattr", Arguments: args(FD, Path, Pointer, Uint), Handler: attributeOfFile, Partial: noAttributes},
	{Number: unix.SYS_LISTXATTR, Name: "listxattr", Arguments: args(Path, Pointer, Uint), Handler: listAttributes(followLink), Partial: noAttributes},
	{Number: unix.SYS_LLISTXATTR, Name: "llistxattr", Arguments: args(Path, Pointer, Uint), Handler: listAttributes(keepLink), Partial: noAttributes},
	{Number: unix.SYS_FLISTXATTR, Name: "flistxattr", Arguments: args(FD, Pointer, Uint), Handler: listFileAttributes, Partial: noAttributes},
	{Number: unix.SYS_REMOVEXATTR, Name: "removexattr", Arguments: args(Path, Path), Handler: attributeOfName(followLink), Partial: noAttributes},
	{Number: unix.SYS_LREMOVEXATTR, Name: "lremovexattr", Arguments: args(Path, Path), Handler: attributeOfName(keepLink), Partial: noAttributes},
	{Number: unix.SYS_FREMOVEXATTR, Name: "fremovexattr", Arguments: args(FD, Path), Handler: attributeOfFile, Partial: noAttributes},
}

// Flags for the last component of a path name.
const (
	followLink = 0
	keepLink   = unix.AT_SYMLINK_NOFOLLOW
)

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

// checkName returns the error of resolving the path name in the first argument.
func checkName(t *task.Task, a *amd64.Args, flags uint64) error {
	_, err := withPath(t, atCWD, a[0], flags, func(fs.Path) error { return nil })
	return err
}

func attributeOfName(flags uint64) Handler {
	return func(t *task.Task, a *amd64.Args) (uint64, error) {
		if err := attributeName(t, a[1]); err != nil {
			return 0, err
		}
		if err := checkName(t, a, flags); err != nil {
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

func listAttributes(flags uint64) Handler {
	return func(t *task.Task, a *amd64.Args) (uint64, error) { return 0, checkName(t, a, flags) }
}

func listFileAttributes(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(*fs.File) (uint64, error) { return 0, nil })
}
