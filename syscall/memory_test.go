package syscall

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/devfs"
	"slowpath/fs/fstest"
	"slowpath/fs/tmpfs"
	"slowpath/mm"
	"slowpath/mm/mmtest"
	"slowpath/task"
)

// openFile opens a file of w and gives the task a descriptor for it.
func openFile(t *testing.T, tk *task.Task, w *fstest.World, name string, flags int) uint64 {
	t.Helper()
	f, err := w.At(name).Open(flags, 0o644)
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	fd, err := tk.FDs.Install(f, 0, 1024, fs.KeepOnExec)
	if err != nil {
		t.Fatal(err)
	}
	return uint64(fd)
}

const (
	testPage   = mm.PageSize
	mapPrivate = unix.MAP_PRIVATE
	mapShared  = unix.MAP_SHARED
	protRead   = unix.PROT_READ
	protWrite  = unix.PROT_WRITE
)

// TestMmapChecksFileAndFlags checks the errors of mmap(2) for descriptors,
// flags and offsets.
func TestMmapChecksFileAndFlags(t *testing.T) {
	w := fstest.New(t, 2048)
	w.Write("/file", "some text")
	asTask(t, w, func(tk *task.Task) {
		readOnly := openFile(t, tk, w, "/file", unix.O_RDONLY)
		writeOnly := openFile(t, tk, w, "/file", unix.O_WRONLY)
		both := openFile(t, tk, w, "/file", unix.O_RDWR)
		directory := openFile(t, tk, w, "/", unix.O_RDONLY)
		path := openFile(t, tk, w, "/file", unix.O_PATH)
		for _, c := range []struct {
			name                string
			length, prot, flags uint64
			fd, offset          uint64
			want                error
		}{
			{"not open", testPage, protRead, mapPrivate, 99, 0, unix.EBADF},
			{"negative", testPage, protRead, mapPrivate, 1<<64 - 1, 0, unix.EBADF},
			{"path only", testPage, protRead, mapPrivate, path, 0, unix.EBADF},
			{"write only", testPage, protWrite, mapShared, writeOnly, 0, unix.EACCES},
			{"shared writing of a read-only file", testPage, protRead | protWrite, mapShared, readOnly, 0, unix.EACCES},
			{"private writing of a read-only file", testPage, protRead | protWrite, mapPrivate, readOnly, 0, nil},
			{"directory", testPage, protRead, mapPrivate, directory, 0, unix.ENODEV},
			{"length 0", 0, protRead, mapPrivate, both, 0, unix.EINVAL},
			{"no type", testPage, protRead, 0, both, 0, unix.EINVAL},
			{"huge pages", testPage, protRead, mapPrivate | unix.MAP_HUGETLB, both, 0, unix.EINVAL},
			{"offset not aligned", testPage, protRead, mapPrivate, both, 5, unix.EINVAL},
			{"offset too large", testPage, protRead, mapPrivate, both, 1<<64 - testPage, unix.EOVERFLOW},
			{"unsupported flag with MAP_SHARED_VALIDATE", testPage, protRead, unix.MAP_SHARED_VALIDATE | unix.MAP_SYNC, both, 0, unix.EOPNOTSUPP},
			{"known flags with MAP_SHARED_VALIDATE", testPage, protRead, unix.MAP_SHARED_VALIDATE | unix.MAP_POPULATE, both, 0, nil},
		} {
			if _, err := invoke(tk, sysMmap, 0, c.length, c.prot, c.flags, c.fd, c.offset); err != c.want {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
	})
}

// TestMmapReadsFile checks that a mapping has the file's contents, that
// mprotect(2) cannot make a shared mapping of a read-only file writable, and
// that munmap(2) removes the mapping.
func TestMmapReadsFile(t *testing.T) {
	w := fstest.New(t, 2048)
	w.Write("/file", "some text")
	asTask(t, w, func(tk *task.Task) {
		fd := openFile(t, tk, w, "/file", unix.O_RDONLY)
		at, err := invoke(tk, sysMmap, 0, 100, protRead, mapShared, fd, 0)
		if err != nil {
			t.Fatal(err)
		}
		text := make([]byte, 9)
		if err := tk.CopyIn(at, text); err != nil || string(text) != "some text" {
			t.Errorf("the mapping contains %q, error %v", text, err)
		}
		if _, err := invoke(tk, sysMprotect, at, testPage, protRead|protWrite); err != unix.EACCES {
			t.Errorf("mprotect of a read-only file: %v", err)
		}
		if _, err := invoke(tk, sysMunmap, at, testPage); err != nil {
			t.Errorf("munmap: %v", err)
		}
		if err := tk.CopyIn(at, text); err != unix.EFAULT {
			t.Errorf("after munmap: %v", err)
		}
	})
}

// TestSealedMemfdCannotBeMappedWritable checks that a write-sealed memfd can be
// mapped shared only for reading, and that mprotect(2) cannot change that.
func TestSealedMemfdCannotBeMappedWritable(t *testing.T) {
	w := fstest.New(t, 2048)
	asTask(t, w, func(tk *task.Task) {
		const allowSealing = true
		file, err := w.Root.OpenMemfd(w.Mounts, "sealed", 0, 0, allowSealing)
		if err != nil {
			t.Fatal(err)
		}
		if err := file.Truncate(testPage); err != nil {
			t.Fatal(err)
		}
		if err := tmpfs.AddSeals(file, unix.F_SEAL_WRITE); err != nil {
			t.Fatal(err)
		}
		fd, err := tk.FDs.Install(file, 0, 1024, fs.KeepOnExec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := invoke(tk, sysMmap, 0, testPage, protRead|protWrite, mapShared, uint64(fd), 0); err != unix.EPERM {
			t.Errorf("shared writing: %v, want EPERM", err)
		}
		at, err := invoke(tk, sysMmap, 0, testPage, protRead, mapShared, uint64(fd), 0)
		if err != nil {
			t.Fatalf("shared reading: %v", err)
		}
		if _, err := invoke(tk, sysMprotect, at, testPage, protRead|protWrite); err != unix.EACCES {
			t.Errorf("mprotect: %v, want EACCES", err)
		}
	})
}

func TestMemoryCallsReturnTheirErrors(t *testing.T) {
	w := fstest.New(t, 2048)
	asTask(t, w, func(tk *task.Task) {
		anonymous := uint64(mapPrivate | unix.MAP_ANONYMOUS)
		at, err := invoke(tk, sysMmap, 0, 4*testPage, protRead|protWrite, anonymous, 1<<64-1, 7*testPage)
		if err != nil {
			t.Fatal(err)
		}
		vector := at + testPage
		for _, c := range []struct {
			name      string
			handler   Handler
			arguments []uint64
			want      error
		}{
			{"anonymous huge pages", sysMmap, []uint64{0, testPage, protRead, anonymous | unix.MAP_HUGETLB, 0, 0}, unix.ENOMEM},
			{"anonymous with MAP_SHARED_VALIDATE", sysMmap, []uint64{0, testPage, protRead, unix.MAP_SHARED_VALIDATE | unix.MAP_ANONYMOUS, 0, 0}, unix.EINVAL},
			{"mprotect, high bits", sysMprotect, []uint64{at, testPage, 1 << 40}, unix.EINVAL},
			{"mincore", sysMincore, []uint64{at, 4 * testPage, vector}, nil},
			{"mincore, bad vector", sysMincore, []uint64{at, testPage, 8}, unix.EFAULT},
			{"madvise", sysMadvise, []uint64{at, testPage, unix.MADV_DONTNEED}, nil},
			{"msync", sysMsync, []uint64{at, testPage, unix.MS_SYNC}, nil},
			{"mlock", sysMlock, []uint64{at, testPage}, nil},
			{"mlock2", sysMlock2, []uint64{at, testPage, mlockOnFault}, nil},
			{"mlock2, unknown flag", sysMlock2, []uint64{at, testPage, 2}, unix.EINVAL},
			{"munlock", sysMunlock, []uint64{at, testPage}, nil},
			{"mlockall", sysMlockall, []uint64{unix.MCL_CURRENT}, nil},
			{"munlockall", sysMunlockall, nil, nil},
			{"mremap", sysMremap, []uint64{at, 4 * testPage, 2 * testPage, 0, 0}, nil},
			{"mremap, unknown flag", sysMremap, []uint64{at, testPage, testPage, 1 << 33, 0}, unix.EINVAL},
			{"pkey_mprotect", sysPkeyMprotect, []uint64{at, testPage, protRead, 1<<32 - 1}, nil},
			{"pkey_mprotect with a key", sysPkeyMprotect, []uint64{at, testPage, protRead, 1}, unix.EINVAL},
			{"pkey_alloc", sysPkeyAlloc, []uint64{0, 0}, unix.ENOSPC},
			{"pkey_alloc, bad rights", sysPkeyAlloc, []uint64{0, 4}, unix.EINVAL},
			{"pkey_free", sysPkeyFree, []uint64{0}, unix.EINVAL},
		} {
			if _, err := invoke(tk, c.handler, c.arguments...); err != c.want {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		start, _ := invoke(tk, sysBrk, 0)
		if end, _ := invoke(tk, sysBrk, start+testPage); end != start+testPage {
			t.Errorf("brk(%#x) = %#x", start+testPage, end)
		}
	})
}

// TestAddressSpaceLimitAppliesToNextCall checks that a new RLIMIT_AS limits the
// next call.
func TestAddressSpaceLimitAppliesToNextCall(t *testing.T) {
	w := fstest.New(t, 2048)
	asTask(t, w, func(tk *task.Task) {
		anonymous := uint64(mapPrivate | unix.MAP_ANONYMOUS)
		limits := &tk.Group().Limits
		if _, err := limits.Change(unix.RLIMIT_AS, task.Limit{Soft: testPage, Hard: task.Infinity}, task.Privileged); err != nil {
			t.Fatal(err)
		}
		if _, err := invoke(tk, sysMmap, 0, 4*testPage, protRead, anonymous, 0, 0); err != unix.ENOMEM {
			t.Errorf("mmap beyond RLIMIT_AS: %v", err)
		}
	})
}

// TestMmapOfDevZeroIsAnonymousMemory maps /dev/zero privately and shared.
func TestMmapOfDevZeroIsAnonymousMemory(t *testing.T) {
	asUser(t, func(u *user) {
		devfs.Register(u.task.FS.Mounts(), devfs.Config{})
		u.call(sysMknod, u.path("/zero"), unix.S_IFCHR|0o666, unix.Mkdev(1, 5))
		fd := u.open("/zero", unix.O_RDWR)
		for _, flags := range []uint64{unix.MAP_PRIVATE, unix.MAP_SHARED} {
			at := u.call(sysMmap, 0, 2*testPage, protRead|protWrite, flags, fd, 0)
			if err := u.task.CopyOut(at+testPage, []byte{7}); err != nil {
				u.Errorf("a write to a mapping with flags %#x: %v", flags, err)
			}
		}
		readOnly := u.open("/zero", unix.O_RDONLY)
		u.call(sysMmap, 0, testPage, protRead|protWrite, unix.MAP_PRIVATE, readOnly, 0)
		u.fails(unix.EACCES, sysMmap, 0, testPage, protRead|protWrite, unix.MAP_SHARED, readOnly, 0)
	})
}

// TestCallsWithLargeBuffersNeedRoomInTheHeap: a program chooses the size of these
// buffers, and how many tasks wait with one.
func TestCallsWithLargeBuffersNeedRoomInTheHeap(t *testing.T) {
	asUser(t, func(u *user) {
		u.call(sysPipe2, u.base, 0)
		r, w := u.int(0), u.int(4)
		u.call(sysPipe2, u.base, 0)
		other := u.int(4)
		file := u.open("/f", unix.O_CREAT|unix.O_RDWR)
		u.write(file, "text")
		set := u.put(0x2000, slices.Repeat([]byte{0xff}, 8)) // descriptors up to 63
		for fd := u.nextDescriptor(); fd < 64; fd = u.nextDescriptor() {
			u.call(sysDup, r)
		}
		polled := u.put(0x3000, slices.Repeat(words(r), 1000)) // struct pollfd without events
		now := u.put(0x1800, words(0, 0))
		free := mmtest.FillHeap(u.task.Kernel().Memory(), 3*testPage)
		u.fails(unix.ENOMEM, sysSplice, file, 0, w, 0, 65536, 0)
		u.fails(unix.ENOMEM, sysTee, r, other, 65536, 0)
		u.fails(unix.ENOMEM, sysSendfile, w, file, 0, 65536)
		u.fails(unix.ENOMEM, sysPoll, polled, 1000, 0)
		u.fails(unix.ENOMEM, sysSelect, 1<<20, set, 0, 0, now)
		free()
		if n := u.call(sysSplice, file, u.put(0x1900, words(0)), w, 0, 65536, 0); n != 4 {
			u.Errorf("splice with room moved %d bytes, want 4", n)
		}
	})
}
