package probes

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
	"slowpath/trace"
	"slowpath/trace/tracefs"
	"slowpath/uprobe"
	"slowpath/uprobe/fetch"
)

// Set has all definitions. Its methods may be called by any goroutine that may sleep.
//
// Only root can add definitions. Each holds an open file, and mm.Memory.Admit bounds their
// number. They stay until they are removed by name.
type Set struct {
	uprobes *uprobe.Probes
	traces  *trace.Registry
	memory  *mm.Memory

	mu     sync.Mutex // guards the fields below; the registry's lock is taken below it
	probes []*probe   // in the order of their addition
	events map[eventName]*event
	places map[place][]*probe // the probes on an instruction
}

// eventName identifies an event.
type eventName struct{ group, name string }

// place is an instruction.
type place struct {
	inode  fs.Inode
	offset uint64
}

// New returns an empty set. The probes are inserted by u, and their events are added to r.
func New(u *uprobe.Probes, r *trace.Registry, memory *mm.Memory) *Set {
	return &Set{uprobes: u, traces: r, memory: memory, events: make(map[eventName]*event), places: make(map[place][]*probe)}
}

// Rows returns the files of the set at the top of tracefs.
func (s *Set) Rows() []tracefs.Row {
	clear := func(fs.Caller) error { return s.RemoveAll() }
	return []tracefs.Row{
		tracefs.NewRow("dynamic_events", 0o640, s.List, s.Command, clear),
		tracefs.NewRow("uprobe_events", 0o640, s.List, s.Command, clear),
		tracefs.NewRow("uprobe_profile", 0o440, s.Profile, nil, nil),
	}
}

// location is the part of the kernel that error_log names.
const location = "trace_uprobe"

// Command runs one line that was written to uprobe_events: a definition, or a removal that
// begins with a minus sign. Errors of definitions are logged in error_log. Errors: EINVAL,
// E2BIG, ERANGE; those of finding the file; EEXIST; ENOENT and EBUSY for a removal; ENOMEM.
func (s *Set) Command(c fs.Caller, line string) error {
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' })
	if strings.HasPrefix(line, "-") {
		return s.removeMatching(words)
	}
	if len(words) == 0 {
		return nil
	}
	fail := s.define(c, words)
	if fail == nil {
		return nil
	}
	if fail.text != "" {
		command, at := fail.position(words)
		s.traces.Top().Log(location, command, fail.text, at)
	}
	return fail.errno
}

// probeBytes is about how much memory a definition needs.
const probeBytes = 4 << 10

// define adds a definition.
func (s *Set) define(c fs.Caller, words []string) *failure {
	if err := s.memory.Admit(probeBytes); err != nil {
		return &failure{errno: unix.ENOMEM}
	}
	f := &finder{caller: c}
	defer f.release()
	d, fail := parse(words, f.find)
	if fail != nil {
		return fail
	}
	d.path = strings.Clone(d.path)
	d.group, d.event = strings.Clone(d.group), strings.Clone(d.event)
	p := &probe{definition: d, file: f.file, needComm: slices.ContainsFunc(d.arguments, usesComm), isBare: len(d.arguments) == 0}
	if fail := s.add(p); fail != nil {
		return fail
	}
	f.file = nil // the probe keeps it
	return nil
}

func usesComm(a argument) bool {
	return slices.ContainsFunc(a.Steps, func(s fetch.Step) bool { return s.Op == fetch.Comm })
}

// finder opens the file of a definition.
type finder struct {
	caller fs.Caller
	file   *fs.File
}

// find opens the file at a path.
func (f *finder) find(path string) *failure {
	at := fs.At{Caller: f.caller, Name: path, Follow: true}
	found, err := at.Lookup()
	if err == nil {
		if found.Inode().Base().Type() != unix.S_IFREG {
			return &failure{errno: unix.EINVAL, text: errNoRegularFile}
		}
		f.file, err = at.Open(unix.O_RDONLY, 0)
	}
	if err == nil {
		return nil
	}
	errno, ok := err.(unix.Errno)
	if !ok {
		errno = unix.EIO
	}
	return &failure{errno: errno, text: errFileNotFound}
}

// release closes the file, if no probe keeps it.
func (f *finder) release() {
	if f.file != nil {
		f.file.DecRef()
	}
}

// add adds a probe to the event with its name, or to a new one (Linux:
// register_trace_uprobe).
func (s *Set) add(p *probe) *failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := p.place()
	for _, one := range s.places[at] {
		if one.refCounter != p.refCounter {
			return &failure{errno: unix.EINVAL}
		}
	}
	if e := s.events[p.name()]; e != nil {
		if fail := s.append(e, p); fail != nil {
			return fail
		}
	} else if fail := s.create(p); fail != nil {
		return fail
	}
	s.probes = append(s.probes, p)
	s.places[at] = append(s.places[at], p)
	return nil
}

// place returns the instruction of the probe.
func (p *probe) place() place { return place{p.file.Inode(), p.offset} }

// name returns the name of the probe's event.
func (p *probe) name() eventName { return eventName{p.group, p.definition.event} }

// create makes the event of a first definition. s.mu is held.
func (s *Set) create(p *probe) *failure {
	e := newEvent(s, p)
	added, err := s.traces.Add(e.definition())
	switch err {
	case nil:
	case unix.EEXIST:
		return &failure{errno: unix.EEXIST, text: errEventExists}
	default:
		return &failure{errno: err.(unix.Errno)}
	}
	e.traced.Store(added)
	s.events[p.name()] = e
	return nil
}

// append adds a further definition to an event. s.mu is held.
func (s *Set) append(e *event, p *probe) *failure {
	if e.isReturn != p.isReturn {
		return &failure{errno: unix.EEXIST, text: errDiffProbe}
	}
	old := e.probes[0]
	if n := firstDifference(p.arguments, old.arguments); n > 0 {
		return &failure{errno: unix.EEXIST, text: errDiffArgument, word: n + 1}
	}
	for _, one := range e.probes {
		if one.place() == p.place() && slices.EqualFunc(one.arguments, p.arguments, func(a, b argument) bool { return a.Text == b.Text }) {
			return &failure{errno: unix.EEXIST, text: errSameProbe}
		}
	}
	if err := e.append(p); err != nil {
		if errno, ok := err.(unix.Errno); ok {
			return &failure{errno: errno}
		}
		return &failure{errno: unix.EIO}
	}
	return nil
}

// firstDifference returns the number of the first argument, from 1 on, whose name or type
// differs, or 0 (Linux: trace_probe_compare_arg_type).
func firstDifference(a, b []argument) int {
	switch {
	case len(a) < len(b):
		return len(a) + 1
	case len(a) > len(b):
		return len(b) + 1
	}
	for i := range a {
		if a[i].kind != b[i].kind || a[i].Count != b[i].Count || a[i].Name != b[i].Name {
			return i + 1
		}
	}
	return 0
}

// removeMatching removes the definitions that match -:[GROUP/]EVENT [PLACE [ARGUMENTS]]
// (Linux: dyn_event_release). Errors: EINVAL, ENOENT, EBUSY if an event is enabled.
func (s *Set) removeMatching(words []string) error {
	name, ok := strings.CutPrefix(words[0], "-:")
	if !ok {
		return unix.EINVAL
	}
	group, eventName, hasGroup := strings.Cut(name, "/")
	if !hasGroup {
		group, eventName = "", name
	}
	if !hasGroup && eventName == "" {
		return unix.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error = unix.ENOENT
	for _, p := range slices.Clone(s.probes) {
		if eventName != "" && p.definition.event != eventName || hasGroup && p.group != group || !p.matches(words[1:]) {
			continue
		}
		if err = s.remove(p); err != nil {
			break
		}
	}
	return err
}

// matches reports whether the definition has the place and arguments, as uprobe_events
// shows them.
func (p *probe) matches(words []string) bool {
	shown := strings.Fields(p.String())[1:]
	return len(words) <= len(shown) && slices.Equal(words, shown[:len(words)])
}

// remove removes a definition, and its event if it is the last one. s.mu is held. Error:
// EBUSY.
func (s *Set) remove(p *probe) error {
	e := p.event
	if e.count() > 1 {
		if err := e.drop(p); err != nil {
			return err
		}
	} else {
		if err := s.traces.Remove(e.traced.Load()); err != nil {
			return err
		}
		delete(s.events, p.name())
	}
	for i, one := range slices.Backward(s.probes) {
		if one == p {
			s.probes = slices.Delete(s.probes, i, i+1)
			break
		}
	}
	at := p.place()
	if s.places[at] = slices.DeleteFunc(s.places[at], func(one *probe) bool { return one == p }); len(s.places[at]) == 0 {
		delete(s.places, at)
	}
	p.file.DecRef()
	return nil
}

// RemoveAll removes all definitions, as opening uprobe_events for writing with O_TRUNC
// does. Error: EBUSY if one is in use: then none is removed.
func (s *Set) RemoveAll() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.traced.Load().Busy() {
			return unix.EBUSY
		}
	}
	for len(s.probes) > 0 {
		if err := s.remove(s.probes[len(s.probes)-1]); err != nil {
			return err
		}
	}
	return nil
}

// String returns the definition as uprobe_events shows it.
func (p *probe) String() string {
	kind := 'p'
	if p.isReturn {
		kind = 'r'
	}
	text := fmt.Sprintf("%c:%s/%s %s:0x%016x", kind, p.group, p.definition.event, p.path, p.offset)
	if p.refCounter != 0 {
		text += fmt.Sprintf("(0x%x)", p.refCounter)
	}
	for i := range p.arguments {
		text += " " + p.arguments[i].Name + "=" + p.arguments[i].Text
	}
	return text
}

// List returns the contents of uprobe_events.
func (s *Set) List() (string, error) {
	return s.text(func(b *bytes.Buffer, p *probe) { b.WriteString(p.String() + "\n") })
}

// Profile returns the contents of uprobe_profile: the number of hits of each definition.
func (s *Set) Profile() (string, error) {
	return s.text(func(b *bytes.Buffer, p *probe) {
		fmt.Fprintf(b, "  %s %-44s %15d\n", p.path, p.definition.event, p.hits.Load())
	})
}

// longestLine is the greatest length of the text of one definition in bytes: its line has
// at most 4,096, and a path may become longer by no more than the names.
const longestLine = 8 << 10

// text returns the text of all definitions. Error: ENOMEM.
func (s *Set) text(write func(b *bytes.Buffer, p *probe)) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	for _, p := range s.probes {
		if b.Available() < longestLine {
			if err := s.memory.Admit(int64(2*b.Cap() + longestLine)); err != nil {
				return "", err
			}
		}
		write(&b, p)
	}
	return b.String(), nil
}
