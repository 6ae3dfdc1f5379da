package fs_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/fstest"
)

func TestWalkReturnsTheErrorsOfPathResolution(t *testing.T) {
	w := fstest.New(t, 512)
	must(t, w.At("/d").MakeDirectory(0o755))
	must(t, w.At("/d/e").MakeDirectory(0o755))
	w.Write("/d/f", "x")
	must(t, w.At("/loop").MakeLink("loop"))
	must(t, w.At("/to-e").MakeLink("d/e"))
	must(t, w.At("/dangling").MakeLink("nowhere"))
	for _, c := range []struct {
		name string
		want error
	}{
		{"", unix.ENOENT}, {"/", nil}, {"//d//e//", nil}, {"/d/f/", unix.ENOTDIR},
		{"/d/f/..", unix.ENOTDIR}, {"/d/none", unix.ENOENT}, {"/d/none/x", unix.ENOENT},
		{"/loop", unix.ELOOP}, {"/to-e/..", nil}, {"/to-e/../f", nil}, {"/dangling", unix.ENOENT},
		{"/../..", nil}, {"/" + strings.Repeat("n", 256), unix.ENAMETOOLONG},
		{strings.Repeat("/d", 2100), unix.ENAMETOOLONG}, {"d/./e/.", nil},
	} {
		if _, err := w.At(c.name).Lookup(); err != c.want && !(err == nil && c.want == nil) {
			t.Errorf("Lookup(%.20q) = %v, want %v", c.name, err, c.want)
		}
	}
}

func TestLinkDepthIsBounded(t *testing.T) {
	w := fstest.New(t, 512)
	w.Write("/0", "x")
	for i := 1; i <= 41; i++ {
		must(t, w.At(fmt.Sprint("/", i)).MakeLink(fmt.Sprint(i-1)))
	}
	if _, err := w.At("/40").Lookup(); err != nil {
		t.Errorf("40 links: %v", err)
	}
	if _, err := w.At("/41").Lookup(); err != unix.ELOOP {
		t.Errorf("41 links: %v, want ELOOP", err)
	}
}

func TestRenameReturnsTheErrorsOfRename2(t *testing.T) {
	w := fstest.New(t, 512)
	for _, d := range []string{"/a", "/a/b", "/full", "/full/x", "/empty"} {
		must(t, w.At(d).MakeDirectory(0o755))
	}
	w.Write("/f", "f")
	w.Write("/g", "g")
	for _, c := range []struct {
		from, to string
		flags    uint
		want     error
	}{
		{"/a", "/a/b/c", 0, unix.EINVAL},
		{"/a/b", "/a", 0, unix.ENOTEMPTY},
		{"/a", "/full", 0, unix.ENOTEMPTY},
		{"/f", "/empty", 0, unix.EISDIR},
		{"/empty", "/f", 0, unix.ENOTDIR},
		{"/f", "/g", unix.RENAME_NOREPLACE, unix.EEXIST},
		{"/f", "/none", unix.RENAME_EXCHANGE, unix.ENOENT},
		{"/f", "/g", unix.RENAME_EXCHANGE | unix.RENAME_NOREPLACE, unix.EINVAL},
		{"/none", "/g", 0, unix.ENOENT},
		{"/f/", "/h", 0, unix.ENOTDIR},
		{"/a/.", "/h", 0, unix.EBUSY},
		{"/a", "/empty", 0, nil},
		{"/f", "/g", unix.RENAME_EXCHANGE, nil},
	} {
		if err := w.At(c.from).RenameTo(w.At(c.to), c.flags); err != c.want && !(err == nil && c.want == nil) {
			t.Errorf("rename(%s, %s, %d) = %v, want %v", c.from, c.to, c.flags, err, c.want)
		}
	}
	if f, g := w.Read("/f"), w.Read("/g"); f != "g" || g != "f" {
		t.Errorf("after the exchange f has %q and g has %q", f, g)
	}
	if _, err := w.At("/empty/b").Lookup(); err != nil {
		t.Errorf("the moved directory lost its contents: %v", err)
	}
	if a, _ := w.At("/").Attributes(); a.Links != 4 { // ., .. and full, empty
		t.Errorf("root has %d links, want 4", a.Links)
	}
}

func TestWorkingDirectoryFollowsRename(t *testing.T) {
	w := fstest.New(t, 512)
	must(t, w.At("/a").MakeDirectory(0o755))
	must(t, w.At("/a/b").MakeDirectory(0o755))
	err := w.At("/a/b").ChangeDirectory()
	must(t, err)
	must(t, w.At("/a").RenameTo(w.At("/z"), 0))
	if name, err := w.Caller.Context.WorkingDirectory(); name != "/z/b" || err != nil {
		t.Errorf("getcwd: %q, %v", name, err)
	}
	must(t, w.At("/z/b").RemoveDirectory())
	if _, err := w.Caller.Context.WorkingDirectory(); err != unix.ENOENT {
		t.Errorf("getcwd in a removed directory: %v, want ENOENT", err)
	}
	if _, err := w.At("x").Open(unix.O_CREAT|unix.O_WRONLY, 0o666); err != unix.ENOENT {
		t.Errorf("creat in a removed directory: %v, want ENOENT", err)
	}
}

func TestModeBitsAndCapabilitiesDecideAccess(t *testing.T) {
	w := fstest.New(t, 512)
	must(t, w.At("/tmp").MakeDirectory(0o777))
	tmp, _ := w.At("/tmp").Lookup()
	must(t, tmp.ChangeMode(w.Caller, 0o1777))
	w.Write("/tmp/root", "r")
	must(t, w.At("/closed").MakeDirectory(0o700))
	w.Write("/closed/f", "x")
	user := w.User(1000, 1000)
	at := func(name string) fs.At { return fs.At{Caller: user, Name: name, Follow: true} }
	if _, err := at("/closed/f").Lookup(); err != unix.EACCES {
		t.Errorf("walk through a closed directory: %v", err)
	}
	if err := at("/tmp/root").Unlink(); err != unix.EPERM {
		t.Errorf("unlink of another's file in a sticky directory: %v", err)
	}
	if _, err := at("/tmp/root").Open(unix.O_RDWR, 0); err != unix.EACCES {
		t.Errorf("open of another's file for writing: %v", err)
	}
	f, err := at("/tmp/mine").Open(unix.O_RDWR|unix.O_CREAT, 0o444)
	if err != nil {
		t.Fatalf("create with mode 0444 for writing: %v", err)
	}
	f.DecRef()
	if a, _ := at("/tmp/mine").Attributes(); a.UID != 1000 || a.Mode != unix.S_IFREG|0o444 {
		t.Errorf("uid %d, mode %#o", a.UID, a.Mode)
	}
	p, _ := at("/tmp/mine").Lookup()
	if err := p.ChangeOwner(user, 0, fs.KeepID); err != unix.EPERM {
		t.Errorf("chown to root: %v", err)
	}
}

func TestOpenFlagsReturnTheErrorsOfOpen2(t *testing.T) {
	w := fstest.New(t, 512)
	w.Write("/f", "contents")
	must(t, w.At("/d").MakeDirectory(0o755))
	must(t, w.At("/l").MakeLink("f"))
	must(t, w.At("/new-by-link").MakeLink("made"))
	for _, c := range []struct {
		name  string
		flags int
		want  error
	}{
		{"/f", unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY, unix.EEXIST},
		{"/new-by-link", unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY, unix.EEXIST},
		{"/d", unix.O_WRONLY, unix.EISDIR},
		{"/d", unix.O_CREAT, unix.EISDIR},
		{"/f", unix.O_DIRECTORY, unix.ENOTDIR},
		{"/l", unix.O_NOFOLLOW, unix.ELOOP},
		{"/l", unix.O_NOFOLLOW | unix.O_PATH, nil},
		{"/x/", unix.O_CREAT | unix.O_WRONLY, unix.EISDIR},
		{"/new-by-link", unix.O_CREAT | unix.O_WRONLY, nil},
		{"/d", unix.O_TMPFILE | unix.O_RDWR, nil},
		{"/d", unix.O_TMPFILE, unix.EINVAL},
	} {
		f, err := w.At(c.name).Open(c.flags, 0o644)
		if err != c.want && !(err == nil && c.want == nil) {
			t.Errorf("open(%s, %#x) = %v, want %v", c.name, c.flags, err, c.want)
		}
		if err == nil {
			f.DecRef()
		}
	}
	if _, err := w.At("/made").Lookup(); err != nil {
		t.Errorf("O_CREAT did not create the target of the link: %v", err)
	}
	w.Open("/l", unix.O_WRONLY|unix.O_TRUNC, 0)
	if got := w.Read("/f"); got != "" {
		t.Errorf("O_TRUNC left %q", got)
	}
}

func TestMountHidesADirectoryUntilUnmount(t *testing.T) {
	w := fstest.New(t, 512)
	must(t, w.At("/m").MakeDirectory(0o755))
	w.Write("/m/below", "1")
	other := newTmpfs(w)
	must(t, w.At("/m").MountAt(other, "tmpfs", unix.MS_NOSUID))
	if _, err := w.At("/m/below").Lookup(); err != unix.ENOENT {
		t.Errorf("lookup of a file that the mount hides: %v", err)
	}
	w.Write("/m/above", "2")
	if err := w.At("/m/above").LinkTo(w.At("/x")); err != unix.ENOENT {
		t.Errorf("link of a missing file: %v", err)
	}
	if err := w.At("/x").LinkTo(w.At("/m/above")); err != unix.EXDEV {
		t.Errorf("link across mounts: %v", err)
	}
	if err := w.At("/m").RemoveDirectory(); err != unix.EBUSY {
		t.Errorf("rmdir of a mount point: %v", err)
	}
	if p, _ := w.At("/m/..").Lookup(); p != w.Mounts.Root() {
		t.Error("/m/.. is not the root")
	}
	f := w.Open("/m/above", unix.O_RDONLY, 0)
	if err := w.At("/m").Unmount(0); err != unix.EBUSY {
		t.Errorf("umount with an open file: %v", err)
	}
	must(t, w.At("/m").Unmount(unix.MNT_DETACH))
	if got := w.Read("/m/below"); got != "1" {
		t.Errorf("after umount: %q", got)
	}
	if got := fstest.ReadAll(t, f); got != "2" {
		t.Errorf("the open file lost its contents: %q", got)
	}
}

func TestBindMountShowsTheSourceTree(t *testing.T) {
	w := fstest.New(t, 512)
	must(t, w.At("/a").MakeDirectory(0o755))
	must(t, w.At("/b").MakeDirectory(0o755))
	w.Write("/a/f", "seen twice")
	must(t, w.At("/b").Mount("/a", "", unix.MS_BIND, ""))
	if got := w.Read("/b/f"); got != "seen twice" {
		t.Errorf("read through the bind mount: %q", got)
	}
	list := w.Mounts.List(w.Mounts.Root())
	if last := list[len(list)-1]; last.Point != "/b" || last.Root != "/a" {
		t.Errorf("mountinfo has point %q and root %q", last.Point, last.Root)
	}
}

func TestOpenat2ResolveFlagsRestrictTheWalk(t *testing.T) {
	w := fstest.New(t, 512)
	must(t, w.At("/jail").MakeDirectory(0o755))
	must(t, w.At("/jail/escape").MakeLink("/etc"))
	must(t, w.At("/etc").MakeDirectory(0o755))
	must(t, w.At("/jail/up").MakeLink("../etc"))
	jail := w.Open("/jail", unix.O_DIRECTORY, 0)
	for _, c := range []struct {
		name    string
		resolve uint64
		want    error
	}{
		{"escape", unix.RESOLVE_BENEATH, unix.EXDEV},
		{"up", unix.RESOLVE_BENEATH, unix.EXDEV},
		{"up", unix.RESOLVE_IN_ROOT, unix.ENOENT},
		{"escape", unix.RESOLVE_NO_SYMLINKS, unix.ELOOP},
		{"escape", 0, nil},
	} {
		at := w.At(c.name)
		at.Start, at.Resolve = jail, c.resolve
		if _, err := at.Lookup(); err != c.want && !(err == nil && c.want == nil) {
			t.Errorf("%s with %#x: %v, want %v", c.name, c.resolve, err, c.want)
		}
	}
}

// FuzzWalk resolves arbitrary path names in a tree with directories, files and
// links. No operation may panic, and every path that is found must have a name.
func FuzzWalk(f *testing.F) {
	for _, s := range []string{"/a/../b", "l/..//./x", strings.Repeat("l/", 50), "\x00", "/a/f/."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		w := fstest.New(t, 64)
		must(t, w.At("/a").MakeDirectory(0o755))
		w.Write("/a/f", "x")
		must(t, w.At("/l").MakeLink("a"))
		must(t, w.At("/a/back").MakeLink("../l"))
		p, err := w.At(name).Lookup()
		if err == nil && w.Mounts.PathName(w.Mounts.Root(), p) == "" {
			t.Errorf("Lookup(%q) returned a path without a name", name)
		}
		if file, err := w.At(name).Open(unix.O_CREAT|unix.O_RDWR, 0o600); err == nil {
			file.DecRef()
		}
		w.At(name).RenameTo(w.At("/a/moved"), 0)
		w.At(name).Unlink()
	})
}
