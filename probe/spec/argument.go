package spec

import (
	"slices"
	"strconv"
	"strings"
)

// Root is what the expression of an argument begins with.
type Root uint8

// The roots.
const (
	// Variable is a parameter or a local variable.
	Variable Root = iota
	// Register is a register, %rdi.
	Register
	// Positional is an argument by the C calling convention, $arg1.
	Positional
	// Result is the returned value, $retval.
	Result
)

// Argument is one wanted value.
type Argument struct {
	// Label is what the output calls the value: the text of the expression, or the
	// name that the user gave.
	Label string
	// Root says what Name is.
	Root Root
	// Name is the name of the variable or of the register, without % or $.
	Name string
	// Number is the number of a Positional, from 1.
	Number int
	// Path is applied to the root from left to right.
	Path []Step
	// Type is a type that the user gave for a root without one: u8 to u64, s8 to s64,
	// x8 to x64, char, bool, string. Empty means the type of the debug information.
	Type string
}

// StepKind is the kind of a Step.
type StepKind uint8

// The kinds of steps.
const (
	// Field is .NAME or ->NAME: pointers are followed in both spellings.
	Field StepKind = iota
	// Element is [N].
	Element
	// Dereference is a * before the expression.
	Dereference
)

// Step is one part of an expression after its root.
type Step struct {
	Kind  StepKind
	Name  string // of a Field
	Index int64  // of an Element
}

// Types are the types that an argument may have by name.
var Types = []string{"u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "x8", "x16", "x32", "x64", "char", "bool", "string"}

// maxArguments is the maximum number of arguments of a probe.
const maxArguments = 64

// maxSteps is the maximum number of steps of an expression.
const maxSteps = 16

func (s *Spec) parseArguments(list string) error {
	list = strings.TrimSpace(list)
	if list == "*" || list == "..." {
		s.All = true
		return nil
	}
	if list == "" {
		return nil
	}
	for text := range strings.SplitSeq(list, ",") {
		a, err := parseArgument(strings.TrimSpace(text))
		if err != nil {
			return err
		}
		s.Arguments = append(s.Arguments, a)
	}
	if len(s.Arguments) > maxArguments {
		return syntax("there are %d arguments, more than %d", len(s.Arguments), maxArguments)
	}
	return nil
}

func parseArgument(text string) (Argument, error) {
	a := Argument{Label: text}
	if label, rest, found := strings.Cut(text, "="); found {
		a.Label, text = strings.TrimSpace(label), strings.TrimSpace(rest)
	}
	if a.Label == "" || text == "" {
		return a, syntax("an argument is empty")
	}
	if rest, kind, found := strings.Cut(text, ":"); found {
		a.Type, text = strings.TrimSpace(kind), strings.TrimSpace(rest)
		if a.Label == rest+":"+kind {
			a.Label = text
		}
		if !slices.Contains(Types, a.Type) {
			return a, syntax("the type %q is unknown; the types are %s", a.Type, strings.Join(Types, ", "))
		}
	}
	stars := len(text) - len(strings.TrimLeft(text, "*"))
	rest, err := a.parseRoot(text[stars:])
	if err != nil {
		return a, err
	}
	if err := a.parsePath(rest); err != nil {
		return a, err
	}
	for range stars {
		a.Path = append(a.Path, Step{Kind: Dereference})
	}
	if len(a.Path) > maxSteps {
		return a, syntax("%q has more than %d steps", text, maxSteps)
	}
	return a, nil
}

// parseRoot parses the beginning of an expression and returns the rest.
func (a *Argument) parseRoot(text string) (rest string, err error) {
	prefix := ""
	if text != "" && (text[0] == '%' || text[0] == '$' || text[0] == '&' || text[0] == '~') {
		prefix, text = text[:1], text[1:]
	}
	end := 0
	for end < len(text) && identifier(text[end], end > 0 || prefix != "") {
		end++
	}
	a.Name, rest = text[:end], text[end:]
	if a.Name == "" {
		return "", syntax("%q is not the name of a variable", prefix+text)
	}
	number, isArgument := strings.CutPrefix(a.Name, "arg")
	switch {
	case prefix == "%":
		a.Root = Register
	case prefix == "$" && a.Name == "retval":
		a.Root = Result
	case prefix == "$" && isArgument:
		a.Root = Positional
		if a.Number, err = strconv.Atoi(number); err != nil || a.Number < 1 || a.Number > maxArguments {
			return "", syntax("$%s is not an argument; the first is $arg1", a.Name)
		}
	case prefix == "~":
		a.Name = "~" + a.Name // an unnamed result of Go: ~r0
	case prefix != "":
		return "", syntax("%s%s is unknown; write a variable, %%REGISTER, $arg1 or $retval", prefix, a.Name)
	}
	return rest, nil
}

// identifier reports whether c may be in a name.
func identifier(c byte, inside bool) bool {
	return letter(c) || inside && c >= '0' && c <= '9'
}

// parsePath parses .NAME, ->NAME and [N].
func (a *Argument) parsePath(text string) error {
	for text != "" {
		if rest, found := strings.CutPrefix(text, "["); found {
			index, after, closed := strings.Cut(rest, "]")
			n, err := strconv.ParseInt(index, 0, 32)
			if !closed || err != nil || n < 0 {
				return syntax("%q is not an index; write [3]", text)
			}
			a.Path, text = append(a.Path, Step{Kind: Element, Index: n}), after
			continue
		}
		rest, found := strings.CutPrefix(text, "->")
		if !found {
			rest, found = strings.CutPrefix(text, ".")
		}
		end := 0
		for end < len(rest) && identifier(rest[end], true) {
			end++
		}
		if !found || end == 0 {
			return syntax("%q cannot follow a variable; write .FIELD, ->FIELD or [3]", text)
		}
		a.Path, text = append(a.Path, Step{Kind: Field, Name: rest[:end]}), rest[end:]
	}
	return nil
}
