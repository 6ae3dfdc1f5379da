package initramfs

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Exit codes for a program that cannot be started. Shells use the same codes.
const (
	CodeNotExecutable = 126
	CodeNotFound      = 127
)

// ProgramError is the reason why a program cannot be started.
type ProgramError struct {
	Code    int // CodeNotExecutable or CodeNotFound
	Message string
}

// Error returns the message, which is one sentence for the user.
func (e *ProgramError) Error() string { return e.Message }

func notExecutable(format string, args ...any) error {
	return &ProgramError{CodeNotExecutable, fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &ProgramError{CodeNotFound, fmt.Sprintf(format, args...)}
}

// Host is a file system on the host in which programs are looked up: the
// directory Root, or the host's own root if Root is empty.
type Host struct {
	Root string
}

// maxLinks is the maximum number of symbolic links in a path, as in
// path_resolution(7).
const maxLinks = 40

// locate converts a path in the guest to a path on the host. It resolves
// symbolic links relative to the root.
func (h Host) locate(name string) (string, error) {
	if h.Root == "" {
		return name, nil
	}
	for range maxLinks {
		target, changed, err := h.follow(name)
		if err != nil {
			return "", err
		}
		if !changed {
			return filepath.Join(h.Root, name), nil
		}
		name = target
	}
	return "", fmt.Errorf("%s: too many symbolic links", name)
}

// Open opens the file at a path of the guest for reading.
func (h Host) Open(name string) (*os.File, error) {
	hostPath, err := h.locate(name)
	if err != nil {
		return nil, err
	}
	return os.Open(hostPath)
}

// follow replaces the first symbolic link in name by its target. changed is
// false if there is none.
func (h Host) follow(name string) (target string, changed bool, err error) {
	parts := strings.Split(strings.TrimPrefix(path.Clean("/"+name), "/"), "/")
	for i := range parts {
		prefix := "/" + path.Join(parts[:i+1]...)
		info, err := os.Lstat(filepath.Join(h.Root, prefix))
		if err != nil {
			return "", false, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		target, err := os.Readlink(filepath.Join(h.Root, prefix))
		if err != nil {
			return "", false, err
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(prefix), target)
		}
		return path.Join(append([]string{target}, parts[i+1:]...)...), true, nil
	}
	return name, false, nil
}

// Find looks up a program as a shell does: a name without a slash in the
// directories of searchPath, any other name as a path relative to workdir. It
// returns the program's absolute path in the guest. The error is a
// *ProgramError.
func (h Host) Find(program, searchPath, workdir string) (string, error) {
	if program == "" {
		return "", notFound("the program's name is empty")
	}
	if strings.Contains(program, "/") {
		if !path.IsAbs(program) {
			program = path.Join(workdir, program)
		}
		program = path.Clean(program)
		return program, h.checkExecutable(program)
	}
	var denied error
	for _, directory := range filepath.SplitList(searchPath) {
		candidate := path.Join("/", directory, program)
		err := h.checkExecutable(candidate)
		if err == nil {
			return candidate, nil
		}
		var problem *ProgramError
		if errors.As(err, &problem) && problem.Code == CodeNotExecutable && denied == nil {
			denied = err
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", notFound("%s is not in any directory of PATH%s; give its path", program, h.where())
}

// where returns " in ROOT" for messages, or nothing for the host's own root.
func (h Host) where() string {
	if h.Root == "" {
		return ""
	}
	return " in " + h.Root
}

// checkExecutable returns an error if a file does not exist or is not
// executable.
func (h Host) checkExecutable(name string) error {
	hostPath, err := h.locate(name)
	if err != nil {
		return notFound("%s does not exist%s", name, h.where())
	}
	info, err := os.Stat(hostPath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return notFound("%s does not exist%s", name, h.where())
	case err != nil:
		return notExecutable("%s cannot be examined: %v", name, err)
	case info.IsDir():
		return notExecutable("%s is a directory, not a program", name)
	case !info.Mode().IsRegular():
		return notExecutable("%s is not a regular file", name)
	case info.Mode().Perm()&0o111 == 0:
		return notExecutable("%s is not executable; make it executable with: chmod +x %s", name, name)
	}
	return nil
}

// maxScriptLine is the maximum length of a #! line (BINPRM_BUF_SIZE of Linux).
const maxScriptLine = 256

// maxScripts is the maximum length of a chain of scripts whose interpreters are
// scripts.
const maxScripts = 5

// Requirements are the files that a program needs to start.
type Requirements struct {
	Files   []string // the guest's paths of the program, its interpreters and its libraries
	Dynamic bool     // the files include a dynamic loader
}

// Require checks a program, whose path Find returned, and finds the files that
// it needs to start. It fails with a *ProgramError if an interpreter or a
// library is missing, or if a file is not a 64-bit x86 program.
func (h Host) Require(program string) (*Requirements, error) {
	req := new(Requirements)
	for range maxScripts {
		req.Files = append(req.Files, program)
		interpreter, err := h.requireFile(req, program)
		if err != nil || interpreter == "" {
			return req, err
		}
		if err := h.checkExecutable(interpreter); err != nil {
			return nil, notExecutable("%s cannot be started because of its interpreter %s: %v", program, interpreter, err)
		}
		program = interpreter
	}
	return nil, notExecutable("%s is a script in a chain of interpreters that is more than %d deep; name a program as interpreter", program, maxScripts)
}

// requireFile examines one program. For a script it returns the interpreter, for
// an ELF program it adds the loader and the libraries to req.
func (h Host) requireFile(req *Requirements, program string) (interpreter string, err error) {
	hostPath, err := h.locate(program)
	if err != nil {
		return "", notFound("%s does not exist%s", program, h.where())
	}
	f, err := os.Open(hostPath)
	if err != nil {
		return "", notExecutable("%s cannot be read: %v", program, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", notExecutable("%s cannot be read: %v", program, err)
	}
	start := make([]byte, maxScriptLine)
	n, err := io.ReadFull(f, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return "", notExecutable("%s cannot be read: %v", program, err)
	}
	start = start[:n]
	if interpreter, ok := scriptInterpreter(start); ok {
		return interpreter, nil
	}
	if !bytes.HasPrefix(start, []byte(elf.ELFMAG)) {
		return "", notExecutable("%s is neither an ELF program nor a script that begins with #! and an interpreter's path", program)
	}
	b, err := readELF(f, info.Size())
	if err != nil {
		return "", notExecutable("%s %v", program, err)
	}
	return "", h.requireLibraries(req, program, b)
}

// scriptInterpreter returns the interpreter that a #! line names. The result is
// false if start is not such a line or the path is not absolute.
func scriptInterpreter(start []byte) (string, bool) {
	line, ok := bytes.CutPrefix(start, []byte("#!"))
	if !ok {
		return "", false
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	words := bytes.Fields(line)
	if len(words) == 0 || !path.IsAbs(string(words[0])) {
		return "", false
	}
	return path.Clean(string(words[0])), true
}
