package task

import (
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/task/elf"
)

// ExecRequest is what execve(2) and execveat(2) ask for.
type ExecRequest struct {
	// At names the program; its Caller is the task.
	At fs.At
	// Descriptor is the number of At.Start, where that is set.
	Descriptor int
	// Argv and Envp are the argument and environment strings.
	Argv, Envp []string
}

// program is an executable that was found and looked at, before anything of
// the calling task has changed.
type program struct {
	file        *fs.File // what is mapped; for a script, the interpreter's file
	image       *elf.Image
	interpreter *fs.File // PT_INTERP, or nil
	loader      *elf.Image
	name        string // AT_EXECFN
	comm        string
	argv, envp  []string

	credentials *cred.Credentials // what the task will have
	secure      bool              // AT_SECURE: it has gained something
}

// maxScriptDepth is how many scripts may be each other's interpreters.
const maxScriptDepth = 5

// Exec is execve(2) and execveat(2). When it returns nil the task's registers
// and memory are the new program's. An error means that nothing has changed,
// unless the task has been sent a fatal signal: then it is too late for either.
//
// Errors: those of execve(2).
func (t *Task) Exec(r ExecRequest) error {
	if err := t.checkArguments(&r); err != nil {
		return err
	}
	p, err := t.findProgram(&r)
	if err != nil {
		return err
	}
	defer p.release()
	return t.commitExec(p)
}

// release drops the files of the program; mappings have their own references.
func (p *program) release() {
	if p.file != nil {
		p.file.DecRef()
	}
	if p.interpreter != nil {
		p.interpreter.DecRef()
	}
}

// Limits of the size of arguments (execve(2)), in bytes.
const (
	// MaxArgument is MAX_ARG_STRLEN, with the NUL.
	MaxArgument  = 32 * 4096
	minArguments = 32 * 4096
	maxArguments = 6 << 20
)

// ArgumentLimit is how many bytes the strings and their pointers may take: a
// quarter of the stack limit, within bounds.
func (t *Task) ArgumentLimit() int {
	limit := min(t.group.Limits.Soft(unix.RLIMIT_STACK)/4, maxArguments)
	return int(max(limit, minArguments))
}

// checkArguments refuses too many or too long arguments: E2BIG. A program
// without any gets one that is empty, as in Linux since 5.18.
func (t *Task) checkArguments(r *ExecRequest) error {
	if len(r.Argv) == 0 {
		r.Argv = []string{""}
	}
	const pointer = 8
	total := 0
	for _, list := range [...][]string{r.Argv, r.Envp} {
		for _, s := range list {
			if len(s) >= MaxArgument {
				return unix.E2BIG
			}
			total += len(s) + 1 + pointer
		}
	}
	if total > t.ArgumentLimit() {
		return unix.E2BIG
	}
	return nil
}

// findProgram opens the program and follows "#!" lines until it meets an ELF
// file.
func (t *Task) findProgram(r *ExecRequest) (*program, error) {
	p := &program{name: r.At.Name, argv: r.Argv, envp: r.Envp}
	if r.At.Start != nil && !strings.HasPrefix(r.At.Name, "/") {
		p.name = descriptorName(r)
	}
	p.comm = baseName(p.name)
	at, scriptName := r.At, p.name
	for depth := 0; ; depth++ {
		file, err := t.openExecutable(at)
		if err != nil {
			return nil, err
		}
		line, err := scriptLine(file)
		if err == nil && line == nil {
			p.file = file
			p.credentials, p.secure = t.execCredentials(file)
			if err := t.readProgram(p); err != nil {
				p.release()
				return nil, err
			}
			return p, nil
		}
		file.DecRef()
		switch {
		case err != nil:
			return nil, err
		case depth == maxScriptDepth:
			return nil, unix.ELOOP
		}
		p.argv = line.arguments(scriptName, p.argv)
		scriptName = line.interpreter
		at = fs.At{Caller: t, Name: line.interpreter, Follow: true}
	}
}

// descriptorName is what a program sees as its name if it was started by a
// descriptor (execveat(2), "Notes").
func descriptorName(r *ExecRequest) string {
	name := "/dev/fd/" + itoa(r.Descriptor)
	if r.At.Name != "" {
		name += "/" + r.At.Name
	}
	return name
}

func baseName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// openExecutable opens a file for execution. The caller needs execute
// permission, not read permission. Errors: EACCES for what is no regular file
// or may not be executed, and those of open(2).
func (t *Task) openExecutable(at fs.At) (*fs.File, error) {
	flags := unix.O_PATH
	if !at.Follow {
		flags |= unix.O_NOFOLLOW
	}
	found, err := at.Open(flags, 0)
	if err != nil {
		return nil, err
	}
	defer found.DecRef()
	attributes := found.Attributes()
	if attributes.Type() == unix.S_IFLNK {
		return nil, unix.ELOOP // AT_SYMLINK_NOFOLLOW
	}
	if !attributes.IsRegular() || found.Path().Statistics().NoEX {
		return nil, unix.EACCES
	}
	if err := found.Path().Permit(t, fs.MayExecute); err != nil {
		return nil, err
	}
	kernel := fs.KernelCaller{Context: t.FS}
	return fs.At{Caller: kernel, Start: found, Empty: true, Follow: true}.Open(unix.O_RDONLY, 0)
}

// readProgram reads the ELF headers of the program and of its dynamic loader.
// From here on the program does not change: ETXTBSY if somebody may write.
func (t *Task) readProgram(p *program) (err error) {
	if err = p.file.DenyWriting(); err != nil {
		return err
	}
	if p.image, err = elf.Read(fileReader{p.file}); err != nil {
		return err
	}
	if p.image.Interpreter == "" {
		return nil
	}
	at := fs.At{Caller: t, Name: p.image.Interpreter, Follow: true}
	if p.interpreter, err = t.openExecutable(at); err != nil {
		return err
	}
	p.loader, err = elf.Read(fileReader{p.interpreter})
	if err == unix.ENOEXEC {
		return unix.ELIBBAD
	}
	return err
}

// fileReader lets package elf read an open file.
type fileReader struct{ file *fs.File }

// ReadAt implements elf.File.
func (r fileReader) ReadAt(p []byte, offset int64) (int, error) {
	return r.file.ReadAt(fs.NewBytesSink(p), offset)
}

// script is the first line of a file that begins with "#!".
type script struct{ interpreter, argument string }

// scriptHead is how much of a file is looked at for the line (BINPRM_BUF_SIZE).
const scriptHead = 256

// scriptLine returns the "#!" line of the file, nil if it has none. Errors:
// ENOEXEC for a line without an interpreter or one whose interpreter does not
// end within scriptHead bytes.
func scriptLine(file *fs.File) (*script, error) {
	var head [scriptHead]byte
	sink := fs.NewBytesSink(head[:])
	if _, err := file.ReadAt(sink, 0); err != nil {
		return nil, err
	}
	return parseScript(string(sink.Bytes()))
}

// parseScript reads the line as Linux's load_script does: blanks around the
// interpreter and around the one argument do not count.
func parseScript(head string) (*script, error) {
	line, isScript := strings.CutPrefix(head, "#!")
	if !isScript {
		return nil, nil
	}
	line, _, ended := strings.Cut(line, "\n")
	ended = ended || len(head) < scriptHead || strings.IndexByte(line, 0) >= 0
	line, _, _ = strings.Cut(line, "\x00")
	line = strings.TrimLeft(line, " \t")
	end := strings.IndexAny(line, " \t")
	if line == "" || !ended && end < 0 {
		return nil, unix.ENOEXEC
	}
	if end < 0 {
		return &script{interpreter: line}, nil
	}
	return &script{interpreter: line[:end], argument: strings.Trim(line[end:], " \t")}, nil
}

// arguments returns what the interpreter is called with: its own name, the
// argument of the line if there is one, the script's name, and the script's
// arguments without its name.
func (s *script) arguments(name string, argv []string) []string {
	list := []string{s.interpreter}
	if s.argument != "" {
		list = append(list, s.argument)
	}
	list = append(list, name)
	return append(list, argv[min(1, len(argv)):]...)
}
