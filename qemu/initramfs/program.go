package initramfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Exit codes of a program that cannot be started, as shells use them.
const (
	CodeNotExecutable = 126
	CodeNotFound      = 127
)

// ProgramError says why a program cannot be started.
type ProgramError struct {
	Code    int // CodeNotExecutable or CodeNotFound
	Message string
}

// Error returns the message, one sentence for the user.
func (e *ProgramError) Error() string { return e.Message }

func notExecutable(format string, args ...any) error {
	return &ProgramError{CodeNotExecutable, fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &ProgramError{CodeNotFound, fmt.Sprintf(format, args...)}
}

// Host is the host's file system as a program sees it that is looked up in
// it: below Root, or as it is when Root is empty.
type Host struct {
	Root string
}

// maxLinks is how many symbolic links are followed, as in path_resolution(7).
const maxLinks = 40

// locate returns where on the host the file is that the guest will know by
// name, following symbolic links below the root.
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

// follow replaces the first symbolic link in name.
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

// Find looks a program up as a shell does: a name without a slash in the
// directories of searchPath, anything else as a path, from the directory
// workdir. It returns the absolute path that the program will have in the
// guest. The error is a *ProgramError: not found, or not executable.
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

// where names the root directory for messages.
func (h Host) where() string {
	if h.Root == "" {
		return ""
	}
	return " in " + h.Root
}

// checkExecutable reports what keeps a file from being executed.
func (h Host) checkExecutable(name string) error {
	place, err := h.locate(name)
	if err != nil {
		return notFound("%s does not exist%s", name, h.where())
	}
	info, err := os.Stat(place)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return notFound("%s does not exist%s", name, h.where())
	case err != nil:
		return notExecutable("%s cannot be looked at: %v", name, err)
	case info.IsDir():
		return notExecutable("%s is a directory, not a program", name)
	case !info.Mode().IsRegular():
		return notExecutable("%s is not a regular file", name)
	case info.Mode().Perm()&0o111 == 0:
		return notExecutable("%s is not executable; make it so by: chmod +x %s", name, name)
	}
	return nil
}

// maxScriptLine is the length of a #! line that Linux reads (BINPRM_BUF_SIZE).
const maxScriptLine = 256

// maxScripts is how many interpreters may be scripts in turn.
const maxScripts = 5

// Requirements is what must be in the guest for a program to start.
type Requirements struct {
	// Files are the paths, in the guest, of the program, its interpreters and
	// its libraries.
	Files []string
	// Dynamic is set when a dynamic loader is among them.
	Dynamic bool
}

// Require checks a program and finds what it needs to start. The path is one
// that Find returned. Missing interpreters and libraries are errors, as are
// files that are no program for this machine: a *ProgramError, not executable.
func (h Host) Require(program string) (*Requirements, error) {
	req := new(Requirements)
	for range maxScripts {
		req.Files = append(req.Files, program)
		interpreter, err := h.requireFile(req, program)
		if err != nil || interpreter == "" {
			return req, err
		}
		if err := h.checkExecutable(interpreter); err != nil {
			return nil, notExecutable("%s cannot be started because its interpreter %s cannot: %v", program, interpreter, err)
		}
		program = interpreter
	}
	return nil, notExecutable("%s is a script whose interpreters are scripts more than %d deep", program, maxScripts)
}

// requireFile looks at one program. For a script it returns the interpreter.
func (h Host) requireFile(req *Requirements, program string) (interpreter string, err error) {
	place, err := h.locate(program)
	if err != nil {
		return "", notFound("%s does not exist%s", program, h.where())
	}
	f, err := os.Open(place)
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
	if !bytes.HasPrefix(start, []byte(elfMagic)) {
		return "", notExecutable("%s is neither an ELF program nor a script that begins with #! and an interpreter's path", program)
	}
	b, err := readELF(f, info.Size())
	if err != nil {
		return "", notExecutable("%s %v", program, err)
	}
	return "", h.requireLibraries(req, program, b)
}

// scriptInterpreter returns the interpreter that a #! line names.
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
