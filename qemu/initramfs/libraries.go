package initramfs

import (
	"bufio"
	"debug/elf"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// loaderCache is the file in which glibc's loader looks up libraries before it
// searches its default directories.
const loaderCache = "/etc/ld.so.cache"

// libraryDirectories are the default directories of glibc's and musl's loaders for programs
// of each class, on Debian and on other distributions (ld.so(8)).
var libraryDirectories = map[elf.Class][]string{
	elf.ELFCLASS64: {
		"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib",
	},
	elf.ELFCLASS32: {
		"/lib/i386-linux-gnu", "/usr/lib/i386-linux-gnu", "/lib32", "/usr/lib32", "/lib", "/usr/lib", "/usr/local/lib",
	},
}

// requireLibraries adds the loader of a dynamic program and the libraries that
// it needs, directly or through other libraries.
func (h Host) requireLibraries(req *Requirements, program string, b *binaryFile) error {
	if b.interpreter == "" {
		return nil
	}
	if err := h.checkExecutable(b.interpreter); err != nil {
		return notExecutable("%s needs the loader %s: %v; install it, or give a root directory that has it with --rootfs", program, b.interpreter, err)
	}
	req.Dynamic = true
	req.Files = append(req.Files, b.interpreter)
	search := append(h.configuredDirectories(), libraryDirectories[b.class]...)
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
			library, found, err := h.findLibrary(b.class, name, user.path, append(user.file.searchPath, search...))
			if err != nil {
				return err
			}
			if library == "" {
				return notExecutable("%s needs the library %s, which is not there%s; install it, or give a root directory that has it with --rootfs", user.path, name, h.where())
			}
			req.Files = append(req.Files, library)
			queue = append(queue, object{library, found})
		}
	}
	return nil
}

// findLibrary searches the directories for a library. It skips files that are
// not libraries of the class, as the loader does.
func (h Host) findLibrary(class elf.Class, name, user string, directories []string) (string, *binaryFile, error) {
	if strings.Contains(name, "/") {
		directories = []string{path.Dir(name)}
	}
	for _, directory := range directories {
		directory = strings.NewReplacer("$ORIGIN", path.Dir(user), "${ORIGIN}", path.Dir(user)).Replace(directory)
		candidate := path.Join("/", directory, path.Base(name))
		if b := h.readLibrary(candidate); b != nil && b.class == class {
			return candidate, b, nil
		}
	}
	return "", nil, nil
}

// readLibrary reads a library's headers. It returns nil if the file is not an x86
// library.
func (h Host) readLibrary(name string) *binaryFile {
	hostPath, err := h.locate(name)
	if err != nil {
		return nil
	}
	f, err := os.Open(hostPath)
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

// configuredDirectories returns the directories that /etc/ld.so.conf and the
// files in /etc/ld.so.conf.d list.
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

// AddProgram adds the files that Require returned and, for a dynamic program of
// the host, the cache of the host's loader. It leaves existing entries alone.
// Its errors are those of HostFile.
func (t *Tree) AddProgram(h Host, req *Requirements) error {
	for _, name := range req.Files {
		if t.Has(name) {
			continue
		}
		hostPath, err := h.locate(name)
		if err != nil {
			return err
		}
		if err := t.HostFile(name, hostPath); err != nil {
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
