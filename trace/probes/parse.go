package probes

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// definition is a parsed line of uprobe_events.
type definition struct {
	group, event string
	path         string // as it was written
	offset       uint64
	refCounter   uint64 // offset of the reference counter, 0 for none
	isReturn     bool
	arguments    []argument
}

// Limits of Linux.
const (
	maxNameLength     = 64 // of an event or group, with the NUL
	maxArgumentName   = 32
	maxArgumentLength = 63
	maxArguments      = 128
	maxArray          = 64
	maxFixedSize      = 3072 // of all arguments together
)

// defaultGroup is the group of a definition without one.
const defaultGroup = "uprobes"

// parser parses one definition. find looks for the file at a path: an error, or nil for a
// regular file.
type parser struct {
	words []string
	find  func(path string) *failure
}

// parse parses the words of a definition (Linux: __trace_uprobe_create).
func parse(words []string, find func(path string) *failure) (*definition, *failure) {
	p := &parser{words: words, find: find}
	d := &definition{group: defaultGroup}
	if fail := p.place(d); fail != nil {
		return nil, fail
	}
	if fail := p.names(d); fail != nil {
		return nil, fail
	}
	size := 0
	for i, text := range words[2:] {
		if i == maxArguments {
			break
		}
		argument, fail := d.argument(text, i, size)
		if fail != nil {
			fail.word = i + 2
			return nil, fail
		}
		size += argument.FixedSize()
		d.arguments = append(d.arguments, *argument)
	}
	return d, nil
}

// notMine is the error of a line that is no definition of a uprobe. Nothing is logged.
var notMine = failure{errno: unix.EINVAL}

// place parses the kind of probe and the place.
func (p *parser) place(d *definition) *failure {
	kind := p.words[0][0]
	if kind != 'p' && kind != 'r' || len(p.words) < 2 {
		return &notMine
	}
	d.isReturn = kind == 'r'
	text := p.words[1]
	colon := strings.LastIndexByte(text, ':')
	if !strings.Contains(text, "/") || colon < 0 || colon+1 == len(text) || !isDigit(text[colon+1]) {
		return &notMine
	}
	d.path = text[:colon]
	if fail := p.find(d.path); fail != nil {
		fail.word = 1
		return fail
	}
	fail := func(errno unix.Errno, text string, offset int) *failure { return &failure{errno, text, 1, offset} }
	rest, at := text[colon+1:], colon+1
	if open := strings.IndexByte(rest, '('); open >= 0 {
		inside, after, closed := strings.Cut(rest[open+1:], ")")
		switch {
		case !closed:
			return fail(unix.EINVAL, errRefCountBrace, len(text))
		case after != "":
			return fail(unix.EINVAL, errRefCountSuffix, len(text)-len(after))
		}
		var errno unix.Errno
		if d.refCounter, errno = parseUnsigned(inside); errno != 0 {
			return fail(errno, errBadRefCount, at+open+1)
		}
		rest = rest[:open]
	}
	if percent := strings.IndexByte(rest, '%'); percent >= 0 {
		if rest[percent:] != "%return" {
			return fail(unix.EINVAL, errBadSuffix, at+percent)
		}
		d.isReturn = true
		rest = rest[:percent]
	}
	var errno unix.Errno
	if d.offset, errno = parseUnsigned(rest); errno != 0 {
		return fail(errno, errBadOffset, at)
	}
	return nil
}

// names parses or makes the names of the group and the event.
func (p *parser) names(d *definition) *failure {
	name, given := "", false
	if len(p.words[0]) > 1 && p.words[0][1] == ':' {
		name, given = p.words[0][2:], true
	}
	if given {
		var fail *failure
		if d.group, d.event, fail = parseNames(name); fail != nil {
			fail.offset += 2
			return fail
		}
		if d.group == "" {
			d.group = defaultGroup
		}
	}
	if d.event == "" {
		base := path.Base(d.path)
		if strings.HasSuffix(d.path, "/") {
			base = ""
		}
		if end := strings.IndexAny(base, ".-_"); end >= 0 {
			base = base[:end]
		}
		d.event = fmt.Sprintf("p_%s_0x%x", base, d.offset)
		d.event = d.event[:min(len(d.event), maxNameLength-1)]
	}
	return nil
}

// parseNames splits GROUP/EVENT, GROUP.EVENT, GROUP/ or EVENT (Linux:
// traceprobe_parse_event_name).
func parseNames(text string) (group, event string, _ *failure) {
	event = text
	slash := strings.IndexByte(text, '/')
	if slash < 0 {
		slash = strings.IndexByte(text, '.')
	}
	offset := 0
	if slash >= 0 {
		group, event, offset = text[:slash], text[slash+1:], slash+1
		switch {
		case group == "":
			return "", "", &failure{unix.EINVAL, errNoGroupName, 0, 0}
		case len(group) >= maxNameLength:
			return "", "", &failure{unix.EINVAL, errGroupTooLong, 0, 0}
		case !isGoodSystem(group):
			return "", "", &failure{unix.EINVAL, errBadGroupName, 0, 0}
		case event == "":
			return group, "", nil
		}
	}
	switch {
	case event == "":
		return "", "", &failure{unix.EINVAL, errNoEventName, 0, offset}
	case len(event) >= maxNameLength:
		return "", "", &failure{unix.EINVAL, errEventTooLong, 0, offset}
	case !isGoodName(event):
		return "", "", &failure{unix.EINVAL, errBadEventName, 0, offset}
	}
	return group, event, nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

// isGoodName reports whether a text is an identifier of C.
func isGoodName(text string) bool {
	if text == "" || !isLetter(text[0]) {
		return false
	}
	for i := range len(text) {
		if !isLetter(text[i]) && !isDigit(text[i]) {
			return false
		}
	}
	return true
}

// isGoodSystem is isGoodName for a group, which may have hyphens (Linux:
// is_good_system_name).
func isGoodSystem(text string) bool { return isGoodName(strings.ReplaceAll(text, "-", "_")) }

// parseUnsigned parses a number with a prefix of C (Linux: kstrtoul). Errors: EINVAL,
// ERANGE.
func parseUnsigned(text string) (uint64, unix.Errno) {
	text = strings.TrimPrefix(text, "+")
	base := 10
	switch {
	case strings.HasPrefix(text, "0x"), strings.HasPrefix(text, "0X"):
		text, base = text[2:], 16
	case len(text) > 1 && text[0] == '0':
		base = 8
	}
	value, err := strconv.ParseUint(text, base, 64)
	switch {
	case err == nil && isPlain(text):
		return value, 0
	case err != nil && err.(*strconv.NumError).Err == strconv.ErrRange && isPlain(text):
		return 0, unix.ERANGE
	}
	return 0, unix.EINVAL
}

// isPlain reports whether a number has neither a sign nor a separator.
func isPlain(text string) bool { return !strings.ContainsAny(text, "+-_") }

// parseSigned is parseUnsigned for a number with a sign (Linux: kstrtol).
func parseSigned(text string) (int64, unix.Errno) {
	digits, negative := strings.CutPrefix(text, "-")
	if negative && strings.HasPrefix(digits, "+") {
		return 0, unix.EINVAL
	}
	value, errno := parseUnsigned(digits)
	switch {
	case errno != 0:
		return 0, errno
	case negative && value <= 1<<63:
		return -int64(value), 0
	case negative || value >= 1<<63:
		return 0, unix.ERANGE
	}
	return int64(value), 0
}
