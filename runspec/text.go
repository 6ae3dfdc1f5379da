package runspec

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The first and the last line of the file.
const (
	firstLine = "slowpath-run 1"
	lastLine  = "end"
)

// Marshal returns the text of the run file. It fails if the spec has no arguments, a
// relative working directory, or a NUL byte in a string.
func (s *Spec) Marshal() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	text := []byte(firstLine + "\n")
	text = appendString(text, "path", s.Path)
	for _, arg := range s.Args {
		text = appendQuoted(text, "arg", arg)
	}
	for _, env := range s.Env {
		text = appendQuoted(text, "env", env)
	}
	text = appendString(text, "workdir", s.Workdir)
	text = appendString(text, "hostname", s.Hostname)
	text = appendString(text, "stdin", s.Stdin)
	if s.Stdio == Terminal {
		text = append(text, "stdio terminal\n"...)
	}
	if s.Rows != 0 || s.Columns != 0 {
		text = fmt.Appendf(text, "window %d %d\n", s.Rows, s.Columns)
	}
	return append(text, lastLine+"\n"...), nil
}

// appendString appends a line with a quoted string, or nothing if the string is
// empty.
func appendString(text []byte, key, value string) []byte {
	if value == "" {
		return text
	}
	return appendQuoted(text, key, value)
}

// appendQuoted appends a line with a quoted string.
func appendQuoted(text []byte, key, value string) []byte {
	text = append(text, key...)
	text = append(text, ' ')
	text = strconv.AppendQuote(text, value)
	return append(text, '\n')
}

// Parse parses the text of a run file. Its errors have the line number, for users who
// write the file by hand.
func Parse(text []byte) (*Spec, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("the run file has %d bytes, more than the limit of %d", len(text), MaxSize)
	}
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	if string(first) != firstLine {
		return nil, fmt.Errorf("the run file starts with %.40q instead of %q; build kernel and host command from the same source", first, firstLine)
	}
	spec := new(Spec)
	for number := 2; ; number++ {
		line, after, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			return nil, fmt.Errorf("the run file is cut short in line %d: the line %q is missing", number, lastLine)
		}
		if string(line) == lastLine {
			return spec, spec.check()
		}
		if err := spec.setLine(string(line)); err != nil {
			return nil, fmt.Errorf("line %d of the run file: %w", number, err)
		}
		rest = after
	}
}

// setters has the function for each keyword. It gets the rest of the line.
var setters = map[string]func(s *Spec, value string) error{
	"path":     func(s *Spec, value string) error { return unquote(&s.Path, value) },
	"workdir":  func(s *Spec, value string) error { return unquote(&s.Workdir, value) },
	"stdin":    func(s *Spec, value string) error { return unquote(&s.Stdin, value) },
	"hostname": func(s *Spec, value string) error { return unquote(&s.Hostname, value) },
	"arg":      func(s *Spec, value string) error { return appendUnquoted(&s.Args, value) },
	"env":      func(s *Spec, value string) error { return appendUnquoted(&s.Env, value) },
	"stdio":    (*Spec).setStdio,
	"window":   (*Spec).setWindow,
}

// setLine applies one line to the spec.
func (s *Spec) setLine(line string) error {
	key, value, _ := strings.Cut(line, " ")
	set, ok := setters[key]
	if !ok {
		return fmt.Errorf("the keyword %q is unknown; see package runspec for the format", key)
	}
	return set(s, value)
}

func unquote(target *string, value string) error {
	text, err := strconv.Unquote(value)
	if err != nil {
		return fmt.Errorf("%.40q is not a quoted string; quote it as in Go", value)
	}
	*target = text
	return nil
}

func appendUnquoted(target *[]string, value string) error {
	var text string
	if err := unquote(&text, value); err != nil {
		return err
	}
	*target = append(*target, text)
	return nil
}

func (s *Spec) setStdio(value string) error {
	kinds := map[string]Stdio{"pipes": Pipes, "terminal": Terminal}
	kind, ok := kinds[value]
	if !ok {
		return fmt.Errorf("stdio is %q; it must be pipes or terminal", value)
	}
	s.Stdio = kind
	return nil
}

func (s *Spec) setWindow(value string) error {
	rows, columns, _ := strings.Cut(value, " ")
	r, errRows := strconv.ParseUint(rows, 10, 16)
	c, errColumns := strconv.ParseUint(columns, 10, 16)
	if err := errors.Join(errRows, errColumns); err != nil {
		return fmt.Errorf("window is %q; it must be two numbers, rows and columns", value)
	}
	s.Rows, s.Columns = uint16(r), uint16(c)
	return nil
}
