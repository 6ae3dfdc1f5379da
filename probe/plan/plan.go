// Package plan turns the probes that a user names into the probe file for the kernel, and
// keeps what is needed to understand the hits.
package plan

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"slowpath/probe/spec"
	"slowpath/probe/symbols"
	"slowpath/probe/values"
	"slowpath/probespec"
	"slowpath/uprobe/fetch"
)

// Request is what a plan is made for.
type Request struct {
	// Files opens the files of the guest.
	Files symbols.Files
	// Program has the paths of the files that the program needs to start, the program
	// first: scripts, interpreters, the program, its libraries.
	Program []string
	// Specs are the probes.
	Specs []*spec.Spec
	// Returns adds a probe on the return of each function whose entry has one.
	Returns bool
	// Stack is the number of bytes of the stack that each hit sends, 0 for none.
	Stack int
}

// Probe is one probe of a plan.
type Probe struct {
	// Spec is what the user wrote.
	Spec *spec.Spec
	// Site is where the probe is.
	Site symbols.Site
	// Layout decodes the values.
	Layout *values.Layout
}

// Plan has the probes by their numbers in the probe file.
type Plan struct {
	Probes []Probe
	// Notes are sentences for the user.
	Notes []string
	// File is for the kernel.
	File *probespec.Spec
	// Objects are the object files of the guest.
	Objects *Objects

	entries map[*symbols.Function]bool
}

// Objects opens the object files of the guest, each once.
type Objects struct {
	files   symbols.Files
	objects map[string]*symbols.Object
	readers map[string]*values.Reader
}

// NewObjects returns an empty set of object files.
func NewObjects(files symbols.Files) *Objects {
	return &Objects{files: files, objects: map[string]*symbols.Object{}, readers: map[string]*values.Reader{}}
}

// Open returns the object file at a path of the guest.
func (o *Objects) Open(name string) (*symbols.Object, error) {
	if known := o.objects[name]; known != nil {
		return known, nil
	}
	opened, err := symbols.Open(o.files, name)
	if err == nil {
		o.objects[name] = opened
	}
	return opened, err
}

// reader returns the reader of the arguments in an object file.
func (o *Objects) reader(object *symbols.Object) *values.Reader {
	if o.readers[object.Path] == nil {
		o.readers[object.Path] = values.NewReader(object)
	}
	return o.readers[object.Path]
}

// Close closes the files.
func (o *Objects) Close() {
	for _, object := range o.objects {
		object.Close()
	}
}

// maker makes a plan.
type maker struct {
	*Plan
	request Request
	program string // the ELF file that is executed
	files   map[string]int
	lists   map[string]int
	returns map[place]bool // functions whose return has a probe
}

// place is an instruction of a file.
type place struct {
	file    int
	address uint64
}

// New makes a plan. Its errors are sentences for the user.
func New(r Request) (*Plan, error) {
	m := &maker{
		Plan:    &Plan{File: &probespec.Spec{}, Objects: NewObjects(r.Files)},
		request: r, files: map[string]int{}, lists: map[string]int{}, returns: map[place]bool{},
	}
	if err := m.make(); err != nil {
		m.Objects.Close()
		return nil, err
	}
	return m.Plan, nil
}

func (m *maker) make() error {
	var err error
	if m.program, err = m.elfProgram(); err != nil {
		return err
	}
	for _, s := range m.request.Specs {
		if err := m.add(s); err != nil {
			return fmt.Errorf("the probe %q cannot be set: %w", s.Text, err)
		}
	}
	if len(m.Probes) > probespec.MaxProbes {
		return fmt.Errorf("there are %d probes, more than %d; use narrower patterns", len(m.Probes), probespec.MaxProbes)
	}
	return nil
}

// elfProgram returns the ELF file that is executed: for a script its interpreter.
func (m *maker) elfProgram() (string, error) {
	for _, name := range m.request.Program {
		f, err := m.request.Files.Open(name)
		if err != nil {
			return "", fmt.Errorf("%s cannot be read: %w", name, err)
		}
		isELF := startsLikeELF(f)
		f.Close()
		if isELF {
			return name, nil
		}
	}
	return "", errors.New("the program is no ELF file, so it has no functions")
}

func startsLikeELF(f *os.File) bool {
	var magic [4]byte
	n, err := f.ReadAt(magic[:], 0)
	return err == nil && n == len(magic) && bytes.Equal(magic[:], []byte("\x7fELF"))
}

// add adds the probes that a spec names.
func (m *maker) add(s *spec.Spec) error {
	object, err := m.object(s)
	if err != nil {
		return err
	}
	found, err := object.Find(s)
	if err != nil {
		return m.explain(s, err)
	}
	for _, note := range found.Notes {
		if !slices.Contains(m.Notes, note) {
			m.Notes = append(m.Notes, note)
		}
	}
	reader := m.Objects.reader(object)
	for i := range found.Sites {
		if err := m.addSite(reader, s, found.Sites[i]); err != nil {
			return err
		}
	}
	return nil
}

// addSite adds a probe, and one on the return of the function if that is wanted.
func (m *maker) addSite(reader *values.Reader, s *spec.Spec, site symbols.Site) error {
	if err := m.addProbe(reader, s, site); err != nil {
		return err
	}
	wholeFunction := site.Entry && !site.Return && s.Place.Line == spec.NoLine && s.Place.Offset == 0 && !s.Place.Every && !s.Place.HasAddress
	if !m.request.Returns || !wholeFunction {
		return nil
	}
	site.Return, site.Entry, site.Address = true, false, site.Function.Address
	back := *s
	back.Arguments, back.All, back.Return = nil, false, true
	return m.addProbe(reader, &back, site)
}

func (m *maker) addProbe(reader *values.Reader, s *spec.Spec, site symbols.Site) error {
	file := m.fileNumber(site.Object.Path)
	if site.Return {
		at := place{file, site.Address}
		if m.returns[at] {
			return nil // two specs name the function
		}
		m.returns[at] = true
	}
	offset, err := site.Offset()
	if err != nil {
		return err
	}
	layout, err := reader.Compile(&site, s)
	if err != nil {
		return err
	}
	m.File.Probes = append(m.File.Probes, probespec.Probe{
		ID: uint32(len(m.Probes)), File: file, Offset: offset, Return: site.Return, Optional: s.Place.Several(),
		Arguments: m.listNumber(layout.Arguments), Stack: m.request.Stack,
	})
	m.Probes = append(m.Probes, Probe{s, site, layout})
	return nil
}

func (m *maker) fileNumber(name string) int {
	n, known := m.files[name]
	if !known {
		n = len(m.File.Files)
		m.files[name] = n
		m.File.Files = append(m.File.Files, name)
	}
	return n
}

// listNumber returns the number of a list of arguments. Equal lists are stored once.
func (m *maker) listNumber(list []fetch.Argument) int {
	key := fmt.Sprint(list)
	n, known := m.lists[key]
	if !known {
		n = len(m.File.Lists)
		m.lists[key] = n
		m.File.Lists = append(m.File.Lists, list)
	}
	return n
}

// object returns the object file that a spec names.
func (m *maker) object(s *spec.Spec) (*symbols.Object, error) {
	switch {
	case s.Library == "":
		return m.Objects.Open(m.program)
	case strings.Contains(s.Library, "/"):
		return m.Objects.Open(path.Clean(s.Library))
	}
	for _, name := range m.request.Program {
		if isLibrary(path.Base(name), s.Library) {
			return m.Objects.Open(name)
		}
	}
	return nil, fmt.Errorf("%s needs no library %s; it needs %s. Give the path of a library that it loads later, as in /usr/lib/x.so:FUNC", m.program, s.Library, m.libraries())
}

// isLibrary reports whether a file name is that of a library: libc is libc.so.6 or
// libc-2.31.so, and a full name is itself.
func isLibrary(file, library string) bool {
	rest, ok := strings.CutPrefix(file, library)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '-')
}

// libraries names what the program needs.
func (m *maker) libraries() string {
	var names []string
	for _, name := range m.request.Program {
		if name != m.program && strings.Contains(path.Base(name), ".so") {
			names = append(names, path.Base(name))
		}
	}
	if len(names) == 0 {
		return "none, because it is static"
	}
	return strings.Join(names, ", ")
}

// explain adds to the error of an unknown function which library has it.
func (m *maker) explain(s *spec.Spec, err error) error {
	if s.Library != "" || s.Place.Function == "" {
		return err
	}
	for _, name := range m.request.Program {
		if name == m.program || !strings.Contains(path.Base(name), ".so") {
			continue
		}
		library, openErr := m.Objects.Open(name)
		if openErr != nil {
			continue
		}
		if library.Exports(string(s.Place.Function)) {
			short, _, _ := strings.Cut(path.Base(name), ".")
			return fmt.Errorf("%s has no function %s, but %s has: write %s:%s", m.program, s.Place.Function, path.Base(name), short, s.Text)
		}
	}
	return err
}

// Functions returns the number of different places with a probe.
func (p *Plan) Functions() int {
	seen := map[place]bool{}
	for i := range p.File.Probes {
		seen[place{p.File.Probes[i].File, p.File.Probes[i].Offset}] = true
	}
	return len(seen)
}

// HasEntry reports whether the plan has a probe on the entry of the function at a site.
func (p *Plan) HasEntry(site *symbols.Site) bool {
	if p.entries == nil {
		p.entries = map[*symbols.Function]bool{}
		for i := range p.Probes {
			if s := &p.Probes[i].Site; s.Entry && !s.Return {
				p.entries[s.Function] = true
			}
		}
	}
	return p.entries[site.Function]
}
