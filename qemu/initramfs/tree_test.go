package initramfs

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"slowpath/fs/cpio"
)

// entry is a member of an archive.
type entry struct {
	cpio.Header
	data string
}

// list returns the members of a tree's archive by name. It checks that a
// directory comes before its entries.
func list(t *testing.T, tree *Tree) map[string]entry {
	t.Helper()
	archive, err := tree.Archive()
	if err != nil {
		t.Fatal(err)
	}
	r, err := cpio.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	entries := make(map[string]entry)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		if parent := filepath.Dir(h.Name); entries[parent].Mode&cpio.ModeType != cpio.ModeDir && h.Name != "." {
			t.Errorf("%s comes before its directory", h.Name)
		}
		data, err := r.Rest(1 << 30)
		if err != nil {
			t.Fatal(err)
		}
		entries[h.Name] = entry{*h, string(data)}
	}
}

func TestArchiveHasFilesLinksAndBase(t *testing.T) {
	tree := NewTree()
	tree.File("/a/b/c", 0o600, []byte("deep"))
	tree.File("/a/b/c", 0o644, []byte("replaced"))
	tree.Symlink("/link", "a/b/c")
	tree.AddBase()
	entries := list(t, tree)
	if e := entries["a/b/c"]; e.data != "replaced" || e.Mode != cpio.ModeRegular|0o644 {
		t.Errorf("the file is %+v", e)
	}
	if e := entries["link"]; e.data != "a/b/c" || e.Mode&cpio.ModeType != cpio.ModeSymlink {
		t.Errorf("the link is %+v", e)
	}
	if e := entries["tmp"]; e.Mode != cpio.ModeDir|0o1777 {
		t.Errorf("/tmp is %+v", e)
	}
}

func TestSameTreeGivesSameArchive(t *testing.T) {
	build := func() []byte {
		tree := NewTree()
		tree.AddBase()
		tree.File("/x", 0o644, []byte("y"))
		archive, err := tree.Archive()
		if err != nil {
			t.Fatal(err)
		}
		return archive
	}
	if !bytes.Equal(build(), build()) {
		t.Error("two archives of the same tree differ")
	}
}

func TestHostDirectoryIsPackedWithAttributes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Chmod(path, mode)
	}
	write("bin/tool", "#!/bin/sh\n", 0o4755)
	write("etc/z", "shared", 0o640)
	os.Link(filepath.Join(dir, "etc/z"), filepath.Join(dir, "etc/a"))
	os.Symlink("../nowhere", filepath.Join(dir, "etc/dangling"))
	syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o622)
	syscall.Chmod(filepath.Join(dir, "fifo"), 0o622)
	os.Mkdir(filepath.Join(dir, "empty"), 0o700)

	tree := NewTree()
	if unreadable, err := tree.HostDirectory(dir); err != nil || len(unreadable) > 0 {
		t.Fatal(unreadable, err)
	}
	entries := list(t, tree)
	if len(entries) != 9 { // with the root itself
		t.Errorf("there are %d entries: %v", len(entries), entries)
	}
	if e := entries["bin/tool"]; e.Mode != cpio.ModeRegular|0o755 && e.Mode != cpio.ModeRegular|0o4755 {
		t.Errorf("the tool is %+v", e)
	}
	first, last := entries["etc/a"], entries["etc/z"]
	if first.Inode != last.Inode || first.Links != 2 || last.Links != 2 || first.data != "" || last.data != "shared" || last.Mode != cpio.ModeRegular|0o640 {
		t.Errorf("the hard links are %+v and %+v", first, last)
	}
	if e := entries["etc/dangling"]; e.data != "../nowhere" {
		t.Errorf("the symbolic link is %+v", e)
	}
	if e := entries["fifo"]; e.Mode != cpio.ModeFIFO|0o622 {
		t.Errorf("the fifo is %+v", e)
	}
	if e := entries["empty"]; e.Mode != cpio.ModeDir|0o700 {
		t.Errorf("the directory is %+v", e)
	}
}

func TestPackingRefusesWrongFileType(t *testing.T) {
	for _, name := range []string{"/nonexistent", "/etc/passwd"} {
		if _, err := NewTree().HostDirectory(name); err == nil {
			t.Errorf("%s was packed", name)
		}
	}
	if err := NewTree().HostFile("/x", "/nonexistent"); err == nil {
		t.Error("a file that does not exist was packed")
	}
	if err := NewTree().HostFile("/x", "/etc"); err == nil {
		t.Error("a directory was packed as a file")
	}
}

// rootWith creates a root directory with the files. A content that begins with
// "-> " makes a symbolic link.
func rootWith(t *testing.T, files map[string]string) Host {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			os.Symlink(target, path)
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return Host{Root: root}
}

func TestFindSearchesPathAndRoot(t *testing.T) {
	h := rootWith(t, map[string]string{"usr/bin/tool": "x", "bin": "-> usr/bin", "loop": "-> loop", "tmp/here": "x", "usr/bin/plain": "x"})
	os.Chmod(filepath.Join(h.Root, "usr/bin/plain"), 0o644)
	for _, c := range []struct {
		program, want string
		code          int
	}{
		{"tool", "/bin/tool", 0},
		{"/usr/bin/tool", "/usr/bin/tool", 0},
		{"./here", "/tmp/here", 0},
		{"../bin/tool", "/bin/tool", 0},
		{"here", "", CodeNotFound},
		{"/loop", "", CodeNotFound},
		{"/nonexistent", "", CodeNotFound},
		{"", "", CodeNotFound},
		{"/usr", "", CodeNotExecutable},
		{"plain", "", CodeNotExecutable},
	} {
		got, err := h.Find(c.program, "/nonexistent:/bin:/usr/bin", "/tmp")
		problem, _ := err.(*ProgramError)
		if c.code == 0 && (err != nil || got != c.want) || c.code != 0 && (problem == nil || problem.Code != c.code) {
			t.Errorf("%q gives %q, %v; want %q, code %d", c.program, got, err, c.want, c.code)
		}
	}
}

func TestRequireFindsInterpretersAndLibraries(t *testing.T) {
	dynamic := string(dynamicProgram().bytes())
	static := string(newProgram().bytes())
	h := rootWith(t, map[string]string{
		"bin/static": static, "bin/dynamic": dynamic, "lib64/ld.so": static, "lib/libc.so.6": static, "opt/libm.so.6": dynamic,
		"bin/script": "#!/bin/dynamic -x\n", "bin/lost": "#!/bin/none\n", "bin/loop": "#!/bin/loop\n", "bin/text": "echo hello\n",
	})
	for _, c := range []struct{ program, want string }{
		{"/bin/static", "/bin/static"},
		{"/bin/dynamic", "/bin/dynamic /lib64/ld.so /lib/libc.so.6 /opt/libm.so.6"},
		{"/bin/script", "/bin/script /bin/dynamic /lib64/ld.so /lib/libc.so.6 /opt/libm.so.6"},
	} {
		req, err := h.Require(c.program)
		if err != nil || strings.Join(req.Files, " ") != c.want {
			t.Errorf("%s requires %+v, %v; want %s", c.program, req, err, c.want)
			continue
		}
		tree := NewTree()
		if err := tree.AddProgram(h, req); err != nil {
			t.Error(err)
		}
		if entries := list(t, tree); entries[c.program[1:]].Size == 0 {
			t.Errorf("%s is not packed", c.program)
		}
	}
	for program, want := range map[string]string{"/bin/lost": "/bin/none", "/bin/loop": "5 deep", "/bin/text": "neither an ELF program"} {
		if _, err := h.Require(program); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want one with %q", program, err, want)
		}
	}
	os.Remove(filepath.Join(h.Root, "lib/libc.so.6"))
	if _, err := h.Require("/bin/dynamic"); err == nil || !strings.Contains(err.Error(), "libc.so.6, which is not there") {
		t.Errorf("without the C library, the error is %v", err)
	}
	os.Remove(filepath.Join(h.Root, "lib64/ld.so"))
	if _, err := h.Require("/bin/dynamic"); err == nil || !strings.Contains(err.Error(), "needs the loader /lib64/ld.so") {
		t.Errorf("without a loader, the error is %v", err)
	}
}
