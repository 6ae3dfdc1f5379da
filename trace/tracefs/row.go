package tracefs

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
	"slowpath/trace"
)

// Row is a file.
type Row struct {
	Name string
	// Mode has the permission bits.
	Mode uint32

	// read returns the text of a file that is generated when it is read. nil for a file
	// that cannot be read.
	read func(s *subject) (string, error)
	// write handles one write(2), and returns how many bytes of the text it has used. nil
	// for a file that cannot be written: EINVAL.
	write func(s *subject, w *writing) (int, error)
	// truncate is called when the file is opened for writing with O_TRUNC. It may be nil.
	truncate func(s *subject, c fs.Caller) error
	// open replaces the functions above for a file that is no generated text.
	open func(s *subject, r fs.OpenRequest) (fs.FileOperations, error)
}

// writing is one write(2).
type writing struct {
	text   string
	caller fs.Caller
}

// NewRow returns a file at the top of tracefs: the text that read returns, and commands,
// one a line, that run runs. truncate is called before a program opens it for writing with
// O_TRUNC. run and truncate may be nil.
func NewRow(name string, mode uint32, read func() (string, error), run func(c fs.Caller, line string) error, truncate func(c fs.Caller) error) Row {
	row := Row{Name: name, Mode: mode, read: func(*subject) (string, error) { return read() }}
	if run != nil {
		row.write = func(_ *subject, w *writing) (int, error) {
			return runLines(w.text, func(line string) error { return run(w.caller, line) })
		}
	}
	if truncate != nil {
		row.truncate = func(_ *subject, c fs.Caller) error { return truncate(c) }
	}
	return row
}

// maxLine is the greatest length of a command in bytes (Linux: WRITE_BUFSIZE less 2).
const maxLine = 4094

// runLines runs the lines of one write(2): each up to a newline or the end, without a
// comment after # (Linux: trace_parse_run_command). It returns how many bytes were used.
func runLines(text string, run func(line string) error) (int, error) {
	done := 0
	for done < len(text) {
		line, _, complete := strings.Cut(text[done:], "\n")
		used := len(line)
		if complete {
			used++
		}
		if len(line) > maxLine {
			return 0, unix.EINVAL
		}
		line, _, _ = strings.Cut(line, "\x00")
		line, _, _ = strings.Cut(line, "#")
		if err := run(line); err != nil {
			return 0, err
		}
		done += used
	}
	return done, nil
}

// rowEntries returns a lister of rows.
func rowEntries(rows []Row) lister {
	return func(s *subject) []entry {
		entries := make([]entry, len(rows))
		for i := range rows {
			entries[i] = rows[i].entry(s)
		}
		return entries
	}
}

// entry returns the entry of the row in the directory of a subject.
func (r *Row) entry(s *subject) entry {
	about := *s
	row := *r
	return entry{name: r.Name, mode: unix.S_IFREG | r.Mode, make: func(number uint64) fs.Inode {
		i := &file{row: row, subject: about}
		i.InitWithNumber(&about.fs.numbers, number, fs.NewNode{Mode: unix.S_IFREG | row.Mode})
		return i
	}}
}

// file is a file of tracefs.
type file struct {
	fs.InodeBase
	row     Row
	subject subject
}

// Change implements fs.Inode. Truncation succeeds and changes nothing: what O_TRUNC does
// is done by Open.
func (i *file) Change(c fs.Changes) error {
	if c.Mask == fs.ChangeSize {
		return nil
	}
	return i.InodeBase.Change(c)
}

// Open implements fs.Inode.
func (i *file) Open(r fs.OpenRequest) (fs.FileOperations, error) {
	if i.row.truncate != nil && r.Writes() && r.Flags&unix.O_TRUNC != 0 {
		if err := i.row.truncate(&i.subject, r.Caller); err != nil {
			return nil, err
		}
	}
	use, err := useInstance(&i.subject)
	if err != nil {
		return nil, err
	}
	if i.row.open != nil {
		operations, err := i.openSpecial(r)
		if err != nil {
			use.end()
			return nil, err
		}
		return &used{operations, use}, nil
	}
	f := &textFile{file: i, opener: r.Caller, use: use}
	f.Memory = i.subject.fs.memory
	f.Contents = func(fs.Caller) ([]byte, error) {
		if i.row.read == nil {
			return nil, unix.EINVAL
		}
		text, err := i.row.read(&i.subject)
		return []byte(text), err
	}
	return f, nil
}

// openRoom is what must be free, in bytes, to open a file whose operations have buffers.
const openRoom = 64 << 10

// openSpecial opens a file that is no generated text.
func (i *file) openSpecial(r fs.OpenRequest) (fs.FileOperations, error) {
	if err := i.subject.fs.memory.Admit(openRoom); err != nil {
		return nil, err
	}
	return i.row.open(&i.subject, r)
}

// instanceUse keeps an instance from being removed while a file of it is open.
type instanceUse struct{ instance *trace.Instance }

func useInstance(s *subject) (instanceUse, error) {
	u := instanceUse{s.instance}
	return u, s.instance.Use(1)
}

func (u instanceUse) end() { u.instance.Use(-1) }

// used are operations of an open file that ends a use when it is released.
type used struct {
	fs.FileOperations
	use instanceUse
}

// Release implements fs.FileOperations.
func (u *used) Release() {
	u.FileOperations.Release()
	u.use.end()
}

// HeldMemory implements fs.MemoryHolder for operations that have it.
func (u *used) HeldMemory() int64 {
	if h, ok := u.FileOperations.(fs.MemoryHolder); ok {
		return h.HeldMemory()
	}
	return 0
}

// ReadSplice implements fs.SpliceReader for operations that have it.
func (u *used) ReadSplice(f *fs.File, dst fs.Sink) (int, error) {
	if s, ok := u.FileOperations.(fs.SpliceReader); ok {
		return s.ReadSplice(f, dst)
	}
	return u.FileOperations.Read(f, dst, 0)
}

// textFile is an open file with a generated text.
type textFile struct {
	fs.BytesFile
	file   *file
	opener fs.Caller
	use    instanceUse
}

// Release implements fs.FileOperations.
func (f *textFile) Release() { f.use.end() }

// maxWrite is how many bytes of one write(2) are handled. The result is the number of
// bytes that were, so programs write the rest with the next one.
const maxWrite = 64 << 10

// Write implements fs.FileOperations.
func (f *textFile) Write(_ *fs.File, src fs.Source, offset int64) (int, int64, error) {
	if f.file.row.write == nil {
		return 0, offset, unix.EINVAL
	}
	w, err := readWrite(src, f.opener, f.file.subject.fs.memory)
	if err != nil {
		return 0, offset, err
	}
	n, err := f.file.row.write(&f.file.subject, w)
	return n, offset + int64(n), err
}

// readWrite returns the text of a write(2). Errors: EFAULT, ENOMEM.
func readWrite(src fs.Source, opener fs.Caller, memory *mm.Memory) (*writing, error) {
	if err := memory.Admit(int64(min(src.Remaining(), maxWrite))); err != nil {
		return nil, err
	}
	text, err := fs.GetAll(src, maxWrite)
	if err != nil {
		return nil, err
	}
	if src.Remaining() > 0 { // a long text ends with a line
		if end := strings.LastIndexByte(string(text), '\n'); end >= 0 {
			fs.Unget(src, len(text)-end-1)
			text = text[:end+1]
		}
	}
	w := &writing{text: string(text), caller: fs.CallerOf(src)}
	if w.caller == nil {
		w.caller = opener
	}
	return w, nil
}

// command returns a write function for a text of less than a page that is used as a whole.
func command(run func(s *subject, text string) error) func(s *subject, w *writing) (int, error) {
	return func(s *subject, w *writing) (int, error) {
		if len(w.text) == 0 {
			return 0, nil
		}
		if len(w.text) >= trace.PageSize {
			return 0, unix.EINVAL
		}
		if err := run(s, w.text); err != nil {
			return 0, err
		}
		return len(w.text), nil
	}
}

// number returns a write function for a decimal number.
func decimalCommand(run func(s *subject, n uint64) error) func(s *subject, w *writing) (int, error) {
	return func(s *subject, w *writing) (int, error) {
		n, err := parseDecimal(w.text)
		if err == nil {
			err = run(s, n)
		}
		if err != nil {
			return 0, err
		}
		return len(w.text), nil
	}
}

// parseDecimal parses a number as kstrtoul does. Errors: EINVAL, ERANGE.
func parseDecimal(text string) (uint64, error) {
	text = strings.TrimSuffix(text, "\n")
	text = strings.TrimPrefix(text, "+")
	n, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err == nil:
		return n, nil
	case err.(*strconv.NumError).Err == strconv.ErrRange:
		return 0, unix.ERANGE
	}
	return 0, unix.EINVAL
}

// boolean returns a write function for 0 and 1. Error: EINVAL for other numbers.
func boolean(run func(s *subject, on bool) error) func(s *subject, w *writing) (int, error) {
	return decimalCommand(func(s *subject, n uint64) error {
		if n > 1 {
			return unix.EINVAL
		}
		return run(s, n == 1)
	})
}

// constant returns a read function for a text that is always the same.
func constant(text string) func(*subject) (string, error) {
	return func(*subject) (string, error) { return text, nil }
}

// words returns a write function that uses one word of the text at a time (Linux:
// trace_get_user). The result is how much it has used, so programs write the rest again.
func words(longest int, run func(s *subject, word string) error) func(s *subject, w *writing) (int, error) {
	return func(s *subject, w *writing) (int, error) {
		begin := 0
		for begin < len(w.text) && isSpace(w.text[begin]) {
			begin++
		}
		end := begin
		for end < len(w.text) && !isSpace(w.text[end]) && w.text[end] != 0 {
			end++
		}
		switch {
		case end == begin:
			return len(w.text), nil
		case end-begin > longest:
			return 0, unix.EINVAL
		}
		if err := run(s, w.text[begin:end]); err != nil {
			return 0, err
		}
		return min(end+1, len(w.text)), nil
	}
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
