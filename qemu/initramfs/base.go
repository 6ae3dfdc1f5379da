package initramfs

// baseDirectories are the directories of every root file system. The kernel
// mounts file systems on some, and programs expect the others.
var baseDirectories = []struct {
	name string
	mode uint32
}{
	{"/dev", 0o755},
	{"/etc", 0o755},
	{"/proc", 0o555},
	{"/root", 0o700},
	{"/run", 0o755},
	{"/sys", 0o555},
	{"/tmp", 0o1777},
	{"/var", 0o755},
	{"/var/tmp", 0o1777},
}

// baseFiles are the files in which programs look up users and hosts.
var baseFiles = []struct{ name, content string }{
	{"/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
	{"/etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"},
	{"/etc/hosts", "127.0.0.1\tlocalhost\n"},
}

// AddBase adds the directories and files that every program may expect. It
// leaves existing entries alone.
func (t *Tree) AddBase() {
	for _, d := range baseDirectories {
		if !t.Has(d.name) {
			t.Directory(d.name, d.mode)
		}
	}
	for _, f := range baseFiles {
		if !t.Has(f.name) {
			t.File(f.name, 0o644, []byte(f.content))
		}
	}
}

// AddMountPoints adds only the directories on which the kernel mounts file
// systems. It leaves existing entries alone.
func (t *Tree) AddMountPoints() {
	for _, d := range baseDirectories {
		if (d.name == "/dev" || d.name == "/proc" || d.name == "/tmp") && !t.Has(d.name) {
			t.Directory(d.name, d.mode)
		}
	}
}
