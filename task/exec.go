package task

import (
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/task/elf"
)

// ExecRequest holds the arguments of execve(2) and execveat(2).
type ExecRequest struct {
	// At names the program; its Caller is the task.
	At fs.At
	// Descriptor is the descriptor of At.Start, if At.Start is set.
	Descriptor int
	// Closed is set if execve closes Descriptor: an interpreter could not open a script
	// by the name /dev/fd/Descriptor (execveat(2), "BUGS").
	Closed bool
	// Argv and Envp are the argument and environment strings.
	Argv, Envp []string
}

// program is an executable whose headers were read. The calling task is still
// unchanged.
type program struct {
	file        *fs.File // the file to map; for a script, its interpreter
	image       *elf.Image
	interpreter *fs.File // PT_INTERP, or nil
	loader      *elf.Image
	name        string // AT_EXECFN
	comm        string
	argv, envp  []string

	credentials *cred.Credentials // the credentials after execve(2)
	secure      bool              // AT_SECURE: they have more privileges
	unreadable  bool              // the caller may not read the program or its loader
	personality uint32            // of personality(2)
}

// maxScriptDepth is the maximum nesting of scripts whose interpreter is a script.
const maxScriptDepth = 5

// Exec is execve(2) and execveat(2). When it returns nil, registers and memory
// are those of the new program. After an error nothing has changed, or the task
// has got a fatal signal. Only the task's own goroutine calls it; it may sleep.
//
// Errors: those of execve(2).
func (t *Task) Exec(r ExecRequest) error {
	tid := t.TID()
	if err := t.checkArguments(&r); err != nil {
		return err
	}
	name, err := t.execute(&r)
	if err != nil {
		return err
	}
	if p := &t.kernel.Tracepoints.Executed; p.Active() && t.TID() != 0 { // not in Kernel.Spawn
		p.Call(Executed{Task: t, Path: name, OldTID: tid})
	}
	t.kernel.subsystems.executed(t, tid)
	return nil
}

// execute replaces the program and returns its name, as in AT_EXECFN. While it runs,
// nobody attaches to the process by ptrace(2).
func (t *Task) execute(r *ExecRequest) (name string, err error) {
	defer t.group.execGuard()()
	directories := t.FS
	safety := t.beginExec()
	defer func() { directories.EndExec(safety == safeExec) }()
	p, err := t.findProgram(r, safety)
	if err != nil {
		return "", err
	}
	defer p.release()
	return p.name, t.commitExec(p)
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

// ArgumentLimit returns the greatest total size of the strings and their
// pointers, in bytes: a quarter of the stack limit, but between 128 KiB and
// 6 MiB.
func (t *Task) ArgumentLimit() int {
	limit := min(t.group.Limits.Soft(unix.RLIMIT_STACK)/4, maxArguments)
	return int(max(limit, minArguments))
}

// checkArguments returns E2BIG for arguments that are too long. An empty argv
// becomes one empty string, as in Linux since 5.18.
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

// findProgram opens the program and follows "#!" lines up to an ELF file. safety is
// that of beginExec.
func (t *Task) findProgram(r *ExecRequest, safety execSafety) (*program, error) {
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
			t.execCredentials(p, file, safety)
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
		case r.Closed && depth == 0:
			return nil, unix.ENOENT
		}
		p.argv = line.arguments(scriptName, p.argv)
		scriptName = line.interpreter
		at = fs.At{Caller: t, Name: line.interpreter, Follow: true}
	}
}

// descriptorName returns the name of a program that was started by a descriptor
// (execveat(2), "NOTES").
func descriptorName(r *ExecRequest) string {
	name := "/dev/fd/" + itoa(r.Descriptor)
	if r.At.Name != "" {
		name += "/" + r.At.Name
	}
	return name
}

func baseName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// openExecutable opens a file for execution. The caller needs execute permission
// but no read permission. Errors: EACCES for a file that is not regular or not
// executable, and those of open(2).
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

// readProgram reads the ELF headers of the program and of its dynamic loader. It
// first denies writing to the program: ETXTBSY if the file is open for writing.
func (t *Task) readProgram(p *program) (err error) {
	if err = p.file.DenyWriting(); err != nil {
		return err
	}
	p.unreadable = p.file.Path().Permit(t, fs.MayRead) != nil
	if p.image, err = elf.Read(fileReader{p.file}); err != nil {
		return err
	}
	p.personality &^= readImpliesExec
	if p.image.Class == elf.Class32 && p.image.StackUnspecified {
		p.personality |= readImpliesExec
	}
	if p.image.Interpreter == "" {
		return nil
	}
	at := fs.At{Caller: t, Name: p.image.Interpreter, Follow: true}
	if p.interpreter, err = t.openExecutable(at); err != nil {
		return err
	}
	p.unreadable = p.unreadable || p.interpreter.Path().Permit(t, fs.MayRead) != nil
	p.loader, err = elf.Read(fileReader{p.interpreter})
	if err == unix.ENOEXEC || err == nil && p.loader.Class != p.image.Class {
		return unix.ELIBBAD
	}
	return err
}

// fileReader implements elf.File for an open file.
type fileReader struct{ file *fs.File }

// ReadAt implements elf.File.
func (r fileReader) ReadAt(p []byte, offset int64) (int, error) {
	return r.file.ReadAt(fs.NewBytesSink(p), offset)
}

// script is the first line of a file that begins with "#!".
type script struct{ interpreter, argument string }

// scriptHead is the maximum length of the line in bytes
// (BINPRM_BUF_SIZE).
const scriptHead = 256

// scriptLine returns the "#!" line of the file, or nil. Errors: ENOEXEC for a line
// without an interpreter, and for an interpreter that does not end within
// scriptHead bytes.
func scriptLine(file *fs.File) (*script, error) {
	var head [scriptHead]byte
	sink := fs.NewBytesSink(head[:])
	if _, err := file.ReadAt(sink, 0); err != nil {
		return nil, err
	}
	return parseScript(string(sink.Bytes()))
}

// parseScript parses the line like Linux's load_script: it ignores blanks around
// the interpreter and around the argument.
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

// arguments returns the argv of the interpreter: its name, the argument of the
// line if there is one, the name of the script, and argv[1:] of the script.
func (s *script) arguments(name string, argv []string) []string {
	list := []string{s.interpreter}
	if s.argument != "" {
		list = append(list, s.argument)
	}
	list = append(list, name)
	return append(list, argv[min(1, len(argv)):]...)
}
