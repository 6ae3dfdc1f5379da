package fs_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/fstest"
)

// TestProtectedNamesInStickyDirectories has the rules of proc(5) for
// /proc/sys/fs/protected_*, each with the setting off and on.
func TestProtectedNamesInStickyDirectories(t *testing.T) {
	open := func(c fs.Caller, name string, flags int) error {
		f, err := fs.At{Caller: c, Name: name, Follow: true}.Open(flags, 0o600)
		if err == nil {
			f.DecRef()
		}
		return err
	}
	link := func(c fs.Caller, from, to string) error {
		return fs.At{Caller: c, Name: to}.LinkTo(fs.At{Caller: c, Name: from})
	}
	for name, c := range map[string]struct {
		directory uint32 // the mode of /shared
		level     int64
		call      func(user fs.Caller) error
		off, on   error
	}{
		"another's link":              {0o1777, 1, func(u fs.Caller) error { return open(u, "/shared/link1", unix.O_RDONLY) }, nil, unix.EACCES},
		"one's own link":              {0o1777, 1, func(u fs.Caller) error { return open(u, "/shared/link1000", unix.O_RDONLY) }, nil, nil},
		"the directory owner's link":  {0o1777, 1, func(u fs.Caller) error { return open(u, "/shared/link0", unix.O_RDONLY) }, nil, nil},
		"link, directory not sticky":  {0o777, 1, func(u fs.Caller) error { return open(u, "/shared/link1", unix.O_RDONLY) }, nil, nil},
		"link, directory not shared":  {0o1755, 1, func(u fs.Caller) error { return open(u, "/shared/link1", unix.O_RDONLY) }, nil, nil},
		"hard link to another's file": {0o1777, 1, func(u fs.Caller) error { return link(u, "/readable", "/shared/new") }, nil, unix.EPERM},
		"hard link to a shared file":  {0o1777, 1, func(u fs.Caller) error { return link(u, "/writable", "/shared/new") }, nil, nil},
		"hard link to a set-ID file":  {0o1777, 1, func(u fs.Caller) error { return link(u, "/setuid", "/shared/new") }, nil, unix.EPERM},
		"another's file":              {0o1777, 1, func(u fs.Caller) error { return open(u, "/shared/file1", unix.O_RDWR|unix.O_CREAT) }, nil, unix.EACCES},
		"another's file, no O_CREAT":  {0o1777, 1, func(u fs.Caller) error { return open(u, "/shared/file1", unix.O_RDWR) }, nil, nil},
		"one's own file":              {0o1777, 1, func(u fs.Caller) error { return open(u, "/shared/file1000", unix.O_RDWR|unix.O_CREAT) }, nil, nil},
		"another's FIFO":              {0o1777, 1, func(u fs.Caller) error { return open(u, "/shared/fifo1", unix.O_RDWR|unix.O_CREAT) }, nil, unix.EACCES},
		"a group's directory, 1":      {0o1775, 1, func(u fs.Caller) error { return open(u, "/shared/file1", unix.O_RDWR|unix.O_CREAT) }, nil, nil},
		"a group's directory, 2":      {0o1775, 2, func(u fs.Caller) error { return open(u, "/shared/file1", unix.O_RDWR|unix.O_CREAT) }, nil, unix.EACCES},
	} {
		for _, level := range []int64{0, c.level} {
			w := fstest.New(t, 512)
			s := w.Mounts.Settings
			s.ProtectedSymlinks.Set(min(level, 1))
			s.ProtectedHardlinks.Set(min(level, 1))
			s.ProtectedFIFOs.Set(level)
			s.ProtectedRegular.Set(level)
			shareNames(t, w, c.directory)
			user := w.User(1000, 1000)
			want := c.off
			if level != 0 {
				want = c.on
			}
			if err := c.call(user); err != want {
				t.Errorf("%s, with the setting %d: %v, want %v", name, level, err, want)
			}
		}
	}
}

// shareNames makes files of several users in /shared, which has the given mode.
func shareNames(t *testing.T, w *fstest.World, mode uint32) {
	chmod := func(name string, mode uint32) {
		p, err := w.At(name).Lookup()
		must(t, err)
		must(t, p.ChangeMode(w.Caller, mode))
	}
	must(t, w.At("/shared").MakeDirectory(0o777))
	for name, mode := range map[string]uint32{"/readable": 0o644, "/writable": 0o666, "/setuid": 0o4666} {
		w.Write(name, "text")
		chmod(name, mode)
	}
	for _, owner := range []uint32{0, 1, 1000} {
		id := map[uint32]string{0: "0", 1: "1", 1000: "1000"}[owner]
		w.Write("/shared/file"+id, "text")
		chmod("/shared/file"+id, 0o666)
		_, err := w.At("/shared/fifo"+id).MakeNode(unix.S_IFIFO|0o666, 0)
		must(t, err)
		chmod("/shared/fifo"+id, 0o666)
		link := w.At("/shared/link" + id)
		must(t, link.MakeLink("/writable"))
		link.Follow = false
		for _, at := range []fs.At{w.At("/shared/file" + id), w.At("/shared/fifo" + id), link} {
			p, err := at.Lookup()
			must(t, err)
			must(t, p.ChangeOwner(w.Caller, owner, owner))
		}
	}
	chmod("/shared", mode)
}

// TestFileMaxCountsOpenFiles: only CAP_SYS_ADMIN opens more than file-max files.
func TestFileMaxCountsOpenFiles(t *testing.T) {
	w := fstest.New(t, 512)
	w.Write("/f", "")
	before := w.Mounts.OpenFiles()
	f := w.Open("/f", unix.O_RDONLY, 0)
	f.IncRef()
	if n := w.Mounts.OpenFiles(); n != before+1 {
		t.Errorf("%d open files after one open, want one more than %d", n, before)
	}
	w.Mounts.Settings.FileMax.Set(before)
	if err := w.Mounts.CheckFileMax(cred.User(1000, 1000)); err != unix.ENFILE {
		t.Errorf("a user beyond file-max: %v, want ENFILE", err)
	}
	if err := w.Mounts.CheckFileMax(cred.Root()); err != nil {
		t.Errorf("root beyond file-max: %v", err)
	}
	f.DecRef()
	f.DecRef()
	if n := w.Mounts.OpenFiles(); n != before {
		t.Errorf("%d open files after the close, want %d", n, before)
	}
}
