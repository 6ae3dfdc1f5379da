package fs_test

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/mm/mmtest"
)

// mounted returns a world with a tmpfs at /m that has a file x of one page, and a
// caller of its own whose working directory is /.
func mounted(t *testing.T) (*fstest.World, *fstest.Caller) {
	w := fstest.New(t, 512)
	must(t, w.At("/m").MakeDirectory(0o755))
	must(t, w.At("/m").MountAt(newTmpfs(w), "tmpfs", 0))
	w.Write("/m/x", string(make([]byte, mm.PageSize)))
	c := w.User(0, 0)
	c.Cred = w.Caller.Cred
	t.Cleanup(func() {
		from(c, "/").ChangeDirectory()
		for _, m := range w.Mounts.List(w.Mounts.Root()) {
			w.At(m.Point).Unmount(unix.MNT_DETACH)
		}
	})
	return w, c
}

func from(c *fstest.Caller, name string) fs.At { return fs.At{Caller: c, Name: name, Follow: true} }

// TestDetachedFileSystemLivesWhileItIsUsed detaches a file system that a working
// directory, an open file or an open directory keeps in use. Names in it must
// still work, and its pages are freed after the last use.
func TestDetachedFileSystemLivesWhileItIsUsed(t *testing.T) {
	uses := map[string]func(w *fstest.World, c *fstest.Caller) (within fs.At, leave func()){
		"working directory": func(w *fstest.World, c *fstest.Caller) (fs.At, func()) {
			must(t, from(c, "/m").ChangeDirectory())
			return from(c, ""), func() { must(t, from(c, "/").ChangeDirectory()) }
		},
		"root directory": func(w *fstest.World, c *fstest.Caller) (fs.At, func()) {
			must(t, from(c, "/m").ChangeRoot())
			return from(c, "/"), func() { c.Context.SetRoot(w.Mounts.Root()) }
		},
		"O_PATH descriptor": func(w *fstest.World, c *fstest.Caller) (fs.At, func()) {
			f, err := w.At("/m").Open(unix.O_PATH, 0)
			must(t, err)
			return fs.At{Caller: c, Start: f}, f.DecRef
		},
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			w, c := mounted(t)
			before := w.Memory.Stats().Shared
			at, leave := use(w, c)
			if err := w.At("/m").Unmount(0); err != unix.EBUSY {
				t.Errorf("umount of a file system in use: %v, want EBUSY", err)
			}
			must(t, w.At("/m").Unmount(unix.MNT_DETACH))
			named := func(name string) fs.At {
				n := at
				n.Name += name
				return n
			}
			must(t, named("new").MakeDirectory(0o755))
			must(t, named("x").RenameTo(named("new/y"), 0))
			if err := named("x").Unlink(); err != unix.ENOENT {
				t.Errorf("unlink of a renamed file: %v, want ENOENT", err)
			}
			f, err := named("new/y").Open(unix.O_RDWR, 0)
			must(t, err)
			must(t, named("new/y").Unlink())
			must(t, named("new").RemoveDirectory())
			if n, err := f.Write(fs.NewBytesSource(make([]byte, 3*mm.PageSize))); n != 3*mm.PageSize {
				t.Errorf("a write of an unlinked file: %d, %v", n, err)
			}
			f.DecRef()
			g, err := named("z").Open(unix.O_RDWR|unix.O_CREAT, 0o600)
			must(t, err)
			g.Write(fs.NewBytesSource([]byte("z")))
			leave()
			if n := fstest.ReadAt(t, g, 0, 1); n != "z" {
				t.Errorf("the file that is still open contains %q", n)
			}
			g.DecRef()
			if after := w.Memory.Stats().Shared; after != before-1 {
				t.Errorf("after the last use %d pages are left, want %d", after, before-1)
			}
		})
	}
}

// TestMountsInUseRefuseUnmount checks what keeps a mount busy.
func TestMountsInUseRefuseUnmount(t *testing.T) {
	w, _ := mounted(t)
	must(t, w.At("/m/d").MakeDirectory(0o755))
	must(t, w.At("/b").MakeDirectory(0o755))
	must(t, w.At("/m/d").MountAt(newTmpfs(w), "tmpfs", 0))
	if err := w.At("/m").Unmount(0); err != unix.EBUSY {
		t.Errorf("umount with a mount on it: %v, want EBUSY", err)
	}
	must(t, w.At("/m/d").Unmount(0))
	must(t, w.At("/b").Mount("/m/d", "", unix.MS_BIND, ""))
	must(t, w.At("/m").Unmount(0)) // the bind mount keeps the file system, not this mount
	w.Write("/b/kept", "kept")
	if got := w.Read("/b/kept"); got != "kept" {
		t.Errorf("the bind mount has %q", got)
	}
	must(t, w.At("/b").Unmount(0))
	for name, want := range map[string]error{"/": unix.EINVAL, "/b": unix.EINVAL, "/none": unix.ENOENT} {
		if err := w.At(name).Unmount(0); err != want {
			t.Errorf("umount of %s: %v, want %v", name, err, want)
		}
	}
}

// TestMountsOfRemovedAndDetachedDirectoriesFail checks mount(2) and umount(2) where
// the target or the source is in no namespace any more.
func TestMountsOfRemovedAndDetachedDirectoriesFail(t *testing.T) {
	w, c := mounted(t)
	must(t, w.At("/m/d").MakeDirectory(0o755))
	must(t, w.At("/gone").MakeDirectory(0o755))
	must(t, from(c, "/gone").ChangeDirectory())
	must(t, w.At("/gone").RemoveDirectory())
	w.Write("/f", "")
	for what, err := range map[string]error{
		"mount":  from(c, ".").MountAt(newTmpfs(w), "tmpfs", 0),
		"mkdir":  from(c, "d").MakeDirectory(0o755),
		"link":   from(c, "l").LinkTo(w.At("/f")),
		"rename": w.At("/f").RenameTo(from(c, "f"), 0),
	} {
		if err != unix.ENOENT {
			t.Errorf("%s in a removed directory: %v, want ENOENT", what, err)
		}
	}
	must(t, from(c, "/m").ChangeDirectory())
	must(t, w.At("/m").Unmount(unix.MNT_DETACH))
	for what, err := range map[string]error{
		"mount on a detached tree":   from(c, "d").MountAt(newTmpfs(w), "tmpfs", 0),
		"umount of a detached mount": from(c, ".").Unmount(unix.MNT_DETACH),
		"bind of a detached tree":    from(c, "/m").Mount("d", "", unix.MS_BIND, ""),
		"bind onto a detached tree":  from(c, "d").Mount("/m", "", unix.MS_BIND, ""),
		"move onto a detached tree":  from(c, "d").Mount("/m", "", unix.MS_MOVE, ""),
	} {
		if err != unix.EINVAL {
			t.Errorf("%s: %v, want EINVAL", what, err)
		}
	}
}

// TestRecursiveBindIntoItsOwnTreeEnds binds the root, with all mounts, onto a mount
// point inside it, as often as the maximum number of mounts allows.
func TestRecursiveBindIntoItsOwnTreeEnds(t *testing.T) {
	w, _ := mounted(t)
	must(t, w.At("/m/d").MakeDirectory(0o755))
	must(t, w.At("/m").Mount("/", "", unix.MS_BIND|unix.MS_REC, ""))
	if n := len(w.Mounts.List(w.Mounts.Root())); n != 4 {
		t.Errorf("%d mounts, want the root, /m and a copy of each", n)
	}
	if _, err := w.At("/m/m/x").Lookup(); err != nil {
		t.Errorf("the copy has no file system at /m: %v", err)
	}
	var err error
	for range 40 {
		if err = w.At("/m").Mount("/", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			break
		}
	}
	if err != unix.ENOSPC {
		t.Errorf("too many mounts: %v, want ENOSPC", err)
	}
	for range 40 {
		if err = w.At("/m").Unmount(unix.MNT_DETACH); err != nil {
			break
		}
	}
	if n := len(w.Mounts.List(w.Mounts.Root())); n != 1 || err != unix.EINVAL {
		t.Errorf("after all were unmounted there are %d mounts (%v), want 1", n, err)
	}
}

// TestMountNeedsRoomInTheHeap mounts until the kernel's heap has no room.
func TestMountNeedsRoomInTheHeap(t *testing.T) {
	w, _ := mounted(t)
	must(t, w.At("/b").MakeDirectory(0o755))
	w.Mounts.SetMemory(w.Memory)
	free := mmtest.FillHeap(w.Memory, 0)
	defer free()
	var err error
	for range 40 {
		if err = w.At("/b").Mount("/", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			break
		}
	}
	if err != unix.ENOMEM {
		t.Errorf("recursive binds without room: %v, want ENOMEM", err)
	}
}

// TestMovedMountKeepsItsTree checks MS_MOVE.
func TestMovedMountKeepsItsTree(t *testing.T) {
	w, c := mounted(t)
	for _, name := range []string{"/m/d", "/to"} {
		must(t, w.At(name).MakeDirectory(0o755))
	}
	w.Write("/file", "")
	must(t, w.At("/m/d").MountAt(newTmpfs(w), "tmpfs", 0))
	w.Write("/m/d/deep", "deep")
	must(t, from(c, "/m/d").ChangeDirectory())
	for _, try := range []struct {
		source, target string
		want           error
	}{
		{"/m", "/m/d", unix.ELOOP}, {"/m", "/m", unix.ELOOP}, {"/", "/to", unix.EINVAL},
		{"/to", "/m/d", unix.EINVAL}, {"/m", "/file", unix.EINVAL}, {"/none", "/to", unix.ENOENT},
	} {
		if err := w.At(try.target).Mount(try.source, "", unix.MS_MOVE, ""); err != try.want {
			t.Errorf("move of %s to %s: %v, want %v", try.source, try.target, err, try.want)
		}
	}
	must(t, w.At("/to").Mount("/m", "", unix.MS_MOVE, ""))
	if got := w.Read("/to/d/deep"); got != "deep" {
		t.Errorf("the moved tree has %q", got)
	}
	if name, err := c.Context.WorkingDirectory(); name != "/to/d" || err != nil {
		t.Errorf("getcwd in the moved tree: %q, %v", name, err)
	}
	if _, err := w.At("/m/x").Lookup(); err != unix.ENOENT {
		t.Errorf("the old place: %v, want ENOENT", err)
	}
	must(t, w.At("/m").RemoveDirectory())
}

// TestPropagationTypesOfPrivateMounts checks MS_PRIVATE, MS_SLAVE and MS_UNBINDABLE.
func TestPropagationTypesOfPrivateMounts(t *testing.T) {
	w, _ := mounted(t)
	must(t, w.At("/b").MakeDirectory(0o755))
	must(t, w.At("/").Mount("", "", unix.MS_SLAVE|unix.MS_REC, ""))
	must(t, w.At("/m").Mount("", "", unix.MS_UNBINDABLE, ""))
	if err := w.At("/b").Mount("/m", "", unix.MS_BIND, ""); err != unix.EINVAL {
		t.Errorf("bind of an unbindable mount: %v, want EINVAL", err)
	}
	must(t, w.At("/b").Mount("/", "", unix.MS_BIND|unix.MS_REC, ""))
	if _, err := w.At("/b/m/x").Lookup(); err != unix.ENOENT {
		t.Errorf("the copy contains the unbindable mount: %v", err)
	}
	must(t, w.At("/b").Unmount(0))
	must(t, w.At("/").Mount("", "", unix.MS_PRIVATE|unix.MS_REC, ""))
	must(t, w.At("/b").Mount("/m", "", unix.MS_BIND, ""))
	for what, err := range map[string]error{
		"shared":            w.At("/m").Mount("", "", unix.MS_SHARED, ""),
		"two types":         w.At("/m").Mount("", "", unix.MS_PRIVATE|unix.MS_SLAVE, ""),
		"no mount's root":   w.At("/m/x").Mount("", "", unix.MS_PRIVATE, ""),
		"remount elsewhere": w.At("/m/x").Mount("", "", unix.MS_REMOUNT, ""),
	} {
		if err != unix.EINVAL {
			t.Errorf("%s: %v, want EINVAL", what, err)
		}
	}
}

// TestExpiringMountNeedsTwoCallsWithoutUse checks MNT_EXPIRE.
func TestExpiringMountNeedsTwoCallsWithoutUse(t *testing.T) {
	w, _ := mounted(t)
	expire := func() error { return w.At("/m").Unmount(unix.MNT_EXPIRE) }
	if err := w.At("/m").Unmount(unix.MNT_EXPIRE | unix.MNT_DETACH); err != unix.EINVAL {
		t.Errorf("MNT_EXPIRE with MNT_DETACH: %v, want EINVAL", err)
	}
	f := w.Open("/m/x", unix.O_RDONLY, 0)
	f.IncRef()
	if err := expire(); err != unix.EBUSY {
		t.Errorf("in use: %v, want EBUSY", err)
	}
	f.DecRef()
	w2, _ := mounted(t)
	expire = func() error { return w2.At("/m").Unmount(unix.MNT_EXPIRE) }
	if err := expire(); err != unix.EAGAIN {
		t.Errorf("first call: %v, want EAGAIN", err)
	}
	w2.Read("/m/x")
	if err := expire(); err != unix.EAGAIN {
		t.Errorf("after a use: %v, want EAGAIN", err)
	}
	must(t, expire())
}

// TestConcurrentOpenAndUnmount opens files by name while the file system is mounted
// and unmounted. An open either fails or keeps the file system.
func TestConcurrentOpenAndUnmount(t *testing.T) {
	w := fstest.New(t, 2048)
	must(t, w.At("/m").MakeDirectory(0o755))
	before := w.Memory.Stats().Shared
	var group sync.WaitGroup
	for range 2 {
		c := w.User(0, 0)
		c.Cred = w.Caller.Cred
		group.Go(func() {
			for range 500 {
				f, err := from(c, "/m/x").Open(unix.O_CREAT|unix.O_RDWR, 0o600)
				if err != nil {
					continue
				}
				if n, err := f.WriteAt(fs.NewBytesSource([]byte("data")), 0); n != 4 {
					t.Errorf("write: %d, %v", n, err)
				}
				from(c, "/m").ChangeDirectory()
				from(c, "x").Unlink()
				from(c, "/").ChangeDirectory()
				f.DecRef()
			}
		})
	}
	for i := range 500 {
		w.At("/m").MountAt(newTmpfs(w), "tmpfs", 0)
		w.At("/m").Unmount(unix.MNT_DETACH * (i & 1))
	}
	group.Wait()
	for w.At("/m").Unmount(0) == nil {
	}
	w.At("/m/x").Unlink()
	if after := w.Memory.Stats().Shared; after != before {
		t.Errorf("%d pages are left", after-before)
	}
}

// TestUnlinkedFileCannotBeLinkedAgain checks linkat(2) on files without a name:
// only those of O_TMPFILE without O_EXCL may get one.
func TestUnlinkedFileCannotBeLinkedAgain(t *testing.T) {
	w := fstest.New(t, 512)
	link := func(f *fs.File, name string) error {
		defer f.DecRef()
		return w.At(name).LinkTo(fs.At{Caller: w.Caller, Start: f, Empty: true})
	}
	open := func(name string, flags int) *fs.File {
		f, err := w.At(name).Open(flags, 0o600)
		must(t, err)
		return f
	}
	unlinked := open("/f", unix.O_RDWR|unix.O_CREAT)
	must(t, w.At("/f").Unlink())
	if err := link(unlinked, "/a"); err != unix.ENOENT {
		t.Errorf("link of an unlinked file: %v, want ENOENT", err)
	}
	if err := link(open("/", unix.O_TMPFILE|unix.O_RDWR|unix.O_EXCL), "/b"); err != unix.ENOENT {
		t.Errorf("link of a file of O_TMPFILE with O_EXCL: %v, want ENOENT", err)
	}
	must(t, link(open("/", unix.O_TMPFILE|unix.O_RDWR), "/c"))
}
