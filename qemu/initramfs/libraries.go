package initramfs

import (
	"bufio"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// loaderCache is the file in which glibc's loader looks libraries up before
// it tries the directories it knows.
const loaderCache = "/etc/ld.so.cache"

// libraryDirectories are those that glibc's and musl's loaders know by
// themselves, on Debian and elsewhere (ld.so(8)).
var libraryDirectories = []string{
	"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib",
}

// requireLibraries adds the loader and the libraries of a dynamic program,
// and the libraries of those.
func (h Host) requireLibraries(req *Requirements, program string, b *binaryFile) error {
	if b.interpreter == "" {
		return nil
	}
	if err := h.checkExecutable(b.interpreter); err != nil {
		return notExecutable("%s needs the loader %s: %v; install it, or give its root directory by --rootfs", program, b.interpreter, err)
	}
	req.Dynamic = true
	req.Files = append(req.Files, b.interpreter)
	search := append(h.configuredDirectories(), libraryDirectories...)
	have := map[string]bool{path.Base(b.interpreter): true}
	type object struct {
		path string
		file *binaryFile
	}
	for queue := []object{{program, b}}; len(queue) > 0; queue = queue[1:] {
		user := queue[0]
		for _, name := range user.file.needed {
			if have[path.Base(name)] {
				continue
			}
			have[path.Base(name)] = true
			library, found, err := h.findLibrary(name, user.path, append(user.file.searchPath, search...))
			if err != nil {
				return err
			}
			if library == "" {
				return notExecutable("%s needs the library %s, which is not there%s; install it, or give its root directory by --rootfs", user.path, name, h.where())
			}
			req.Files = append(req.Files, library)
			queue = append(queue, object{library, found})
		}
	}
	return nil
}

// findLibrary looks a library up. One that is no library for this machine is
// passed over, as the loader does.
func (h Host) findLibrary(name, user string, directories []string) (string, *binaryFile, error) {
	if strings.Contains(name, "/") {
		directories = []string{path.Dir(name)}
	}
	for _, directory := range directories {
		directory = strings.NewReplacer("$ORIGIN", path.Dir(user), "${ORIGIN}", path.Dir(user)).Replace(directory)
		candidate := path.Join("/", directory, path.Base(name))
		if b := h.readLibrary(candidate); b != nil {
			return candidate, b, nil
		}
	}
	return "", nil, nil
}

// readLibrary reads a library's headers, or returns nil.
func (h Host) readLibrary(name string) *binaryFile {
	place, err := h.locate(name)
	if err != nil {
		return nil
	}
	f, err := os.Open(place)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	b, err := readELF(f, info.Size())
	if err != nil {
		return nil
	}
	return b
}

// configuredDirectories returns the directories of /etc/ld.so.conf and of the
// files that it includes.
func (h Host) configuredDirectories() []string {
	files := []string{filepath.Join("/", h.Root, "/etc/ld.so.conf")}
	if more, err := filepath.Glob(filepath.Join("/", h.Root, "/etc/ld.so.conf.d/*.conf")); err == nil {
		files = append(files, more...)
	}
	var directories []string
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if line := strings.TrimSpace(lines.Text()); path.IsAbs(line) {
				directories = append(directories, line)
			}
		}
		f.Close()
	}
	return directories
}

// AddProgram packs a program of the host with what it needs to start, which
// Require found, and the cache of the host's loader. What the tree has already
// stays. Errors are those of HostFile.
func (t *Tree) AddProgram(h Host, req *Requirements) error {
	for _, name := range req.Files {
		if t.Has(name) {
			continue
		}
		place, err := h.locate(name)
		if err != nil {
			return err
		}
		if err := t.HostFile(name, place); err != nil {
			return err
		}
	}
	if req.Dynamic && h.Root == "" && !t.Has(loaderCache) {
		if _, err := os.Stat(loaderCache); err == nil {
			return t.HostFile(loaderCache, loaderCache)
		}
	}
	return nil
}
