// Package spec parses what a user writes to name a probe:
//
//	[LIBRARY:]FUNC[(ARG,...)]     the entry of a function
//	[LIBRARY:]FUNC%return         the return of a function, with its result
//	[LIBRARY:]FUNC:LINE[(ARG...)] a line, counted from the line on which the function begins
//	[LIBRARY:]FILE:LINE[(ARG...)] a line of a source file
//	[LIBRARY:]FUNC+OFFSET         an instruction of a function, by its offset in bytes
//	[LIBRARY:]FUNC+*              each instruction of a function
//	[LIBRARY:]0xADDRESS           an instruction, by its address in the ELF file
//
// FUNC is a name of C, C++, Rust or Go, or a glob: * stands for any characters, ? for one.
// FUNC@FILE is the function that FILE defines. In a Go name the star of (*T) is literal.
// ARG is a parameter or a variable: x, p->next, s.field, *p or a[3]. It may have a label,
// as in length=s.len. %rdi is a register and $arg1 an argument by the C calling
// convention; both may have a type, as in %rdi:string. A single * or ... stands for all
// parameters.
//
// The package knows no program: it only reads the text.
package spec

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Spec is a parsed probe.
type Spec struct {
	// Text is what the user wrote.
	Text string
	// Library is the name or the path of the object file. Empty means the program.
	Library string
	// Place says where the probe is.
	Place Place
	// Return is true for a probe on the return of a function.
	Return bool
	// All is true if all parameters are wanted: FUNC(*).
	All bool
	// Arguments are the wanted values, in the order of the text.
	Arguments []Argument
}

// Place is where a probe is. One of Function, File and Address is set.
type Place struct {
	Function Pattern
	// In limits Function to the functions that this source file defines. Empty means
	// any.
	In string
	// File is the source file of FILE:LINE.
	File string
	// Line is the line: of File, or counted from the first line of Function. It is
	// NoLine without one.
	Line int
	// Offset is the number of bytes from the beginning of Function.
	Offset uint64
	// Every is true for each instruction of Function.
	Every bool
	// Address is a virtual address of the ELF file, if HasAddress.
	Address    uint64
	HasAddress bool
}

// Several reports whether the place may mean instructions that cannot be probed, among
// others: the program then runs without them.
func (p *Place) Several() bool { return p.Every || p.Function.Glob() }

// NoLine is the line of a place without one. Line 0 of a function is its first line.
const NoLine = -1

// maxText is the maximum length of a spec in bytes.
const maxText = 64 << 10

// returnSuffix marks a probe on a return.
const returnSuffix = "%return"

// ErrSyntax is wrapped by the errors of Parse.
var ErrSyntax = errors.New("slowpath help probe shows the forms of a probe")

func syntax(format string, args ...any) error {
	return fmt.Errorf(format+"; %w", append(args, ErrSyntax)...)
}

// Parse parses the text of one probe. Its errors are sentences for the user and wrap
// [ErrSyntax].
func Parse(text string) (*Spec, error) {
	if len(text) > maxText {
		return nil, syntax("the probe has %d bytes, more than %d", len(text), maxText)
	}
	if strings.ContainsAny(text, "\x00\n") {
		return nil, syntax("the probe %q has a line end or a NUL byte", text)
	}
	s := &Spec{Text: text}
	rest := s.cutReturn(strings.TrimSpace(text))
	rest, list, hasList := cutArguments(rest)
	rest = s.cutReturn(rest)
	if err := s.parsePlace(rest); err != nil {
		return nil, fmt.Errorf("the probe %q: %w", text, err)
	}
	if hasList {
		if err := s.parseArguments(list); err != nil {
			return nil, fmt.Errorf("the probe %q: %w", text, err)
		}
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("the probe %q: %w", text, err)
	}
	return s, nil
}

// cutReturn removes %return from the end.
func (s *Spec) cutReturn(text string) string {
	rest, found := strings.CutSuffix(text, returnSuffix)
	s.Return = s.Return || found
	return strings.TrimSpace(rest)
}

// cutArguments splits the list of arguments off: the group of parentheses at the end. A
// group after a dot belongs to a Go name, and operator() is a name of C++.
func cutArguments(text string) (rest, list string, found bool) {
	if !strings.HasSuffix(text, ")") {
		return text, "", false
	}
	depth := 0
	for i := len(text) - 1; i >= 0; i-- {
		switch text[i] {
		case ')':
			depth++
		case '(':
			depth--
		}
		if depth > 0 {
			continue
		}
		rest, list = text[:i], text[i+1:len(text)-1]
		if list == "" && strings.HasSuffix(rest, "operator") || strings.HasSuffix(rest, ".") {
			return text, "", false
		}
		return strings.TrimSpace(rest), list, true
	}
	return text, "", false
}

// check refuses combinations that mean nothing.
func (s *Spec) check() error {
	p := &s.Place
	switch {
	case s.Return && (p.Line != NoLine || p.Offset != 0 || p.Every || p.HasAddress || p.File != ""):
		return syntax("only a whole function returns, so %s follows a function's name", returnSuffix)
	case s.Return && s.wantsParameters():
		return syntax("the arguments may have changed at the return; write two probes, FUNC(ARG...) and FUNC%s", returnSuffix)
	case p.Line != NoLine && (p.Offset != 0 || p.Every):
		return syntax("a line has no offset in bytes")
	}
	return nil
}

// wantsParameters reports whether a value other than the result or a register is wanted.
func (s *Spec) wantsParameters() bool {
	for i := range s.Arguments {
		if s.Arguments[i].Root == Variable || s.Arguments[i].Root == Positional {
			return true
		}
	}
	return false
}

// parsePlace parses everything before the list of arguments.
func (s *Spec) parsePlace(text string) error {
	s.Place.Line = NoLine
	rest, err := s.cutLine(text)
	if err != nil {
		return err
	}
	s.Library, rest = cutLibrary(rest)
	if rest == "" {
		return syntax("there is no function; write FUNC, FUNC:LINE or FILE:LINE")
	}
	if s.Place.Line != NoLine && isSource(rest) {
		s.Place.File = rest
		return nil
	}
	if strings.HasPrefix(rest, "0x") {
		return s.parseAddress(rest)
	}
	rest, err = s.cutOffset(rest)
	if err != nil {
		return err
	}
	rest, s.Place.In = cutFile(rest)
	if rest == "" {
		return syntax("there is no function's name")
	}
	if strings.ContainsAny(rest, " \t") && !strings.Contains(rest, "<") && !strings.Contains(rest, "operator") {
		return syntax("the name %q has a space", rest)
	}
	// Go's stack traces show the type arguments of a generic function as [...].
	s.Place.Function = Pattern(strings.ReplaceAll(rest, "[...]", "[*]"))
	return nil
}

// cutLine removes :LINE from the end. FUNC::NAME of C++ has no line.
func (s *Spec) cutLine(text string) (string, error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 || i > 0 && text[i-1] == ':' || i+1 == len(text) || text[i+1] < '0' || text[i+1] > '9' || strings.HasPrefix(text[i+1:], "0x") {
		return text, nil
	}
	line, err := strconv.Atoi(text[i+1:])
	if err != nil || line > 1<<30 {
		return "", syntax("%q is not a line number", text[i+1:])
	}
	s.Place.Line = line
	return text[:i], nil
}

// cutLibrary splits LIBRARY: off. The :: of C++ and Rust is no separator, and neither is
// a colon inside brackets.
func cutLibrary(text string) (library, rest string) {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '(', '[', '<', '{':
			depth++
		case ')', ']', '>', '}':
			depth--
		case ':':
			if i+1 < len(text) && text[i+1] == ':' {
				i++
				continue
			}
			if depth <= 0 {
				return text[:i], strings.TrimSpace(text[i+1:])
			}
		}
	}
	return "", text
}

// cutOffset removes +OFFSET from the end.
func (s *Spec) cutOffset(text string) (string, error) {
	name, offset, found := strings.Cut(text, "+")
	if !found || strings.Contains(name, "operator") {
		return text, nil
	}
	if offset == "*" {
		s.Place.Every = true
		return name, nil
	}
	n, err := strconv.ParseUint(offset, 0, 32)
	if err != nil {
		return "", syntax("the offset %q is not a number of bytes, such as 16 or 0x10", offset)
	}
	s.Place.Offset = n
	return name, nil
}

// cutFile removes @FILE from the end, if FILE is the name of a source file.
func cutFile(text string) (rest, file string) {
	i := strings.LastIndexByte(text, '@')
	if i < 0 || !isSource(text[i+1:]) {
		return text, ""
	}
	return text[:i], text[i+1:]
}

func (s *Spec) parseAddress(text string) error {
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		return syntax("%q is not an address in hexadecimal", text)
	}
	s.Place.Address, s.Place.HasAddress = n, true
	return nil
}

// sourceSuffixes are the ends of the names of source files.
var sourceSuffixes = []string{".c", ".cc", ".cpp", ".cxx", ".C", ".h", ".hh", ".hpp", ".rs", ".go", ".s", ".S", ".asm", ".m", ".d", ".f90", ".zig"}

// isSource reports whether a name is that of a source file.
func isSource(name string) bool {
	for _, suffix := range sourceSuffixes {
		if len(name) > len(suffix) && strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}
