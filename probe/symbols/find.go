package symbols

import (
	"cmp"
	"debug/dwarf"
	"fmt"
	"path"
	"slices"
	"strings"

	"slowpath/probe/spec"
	"slowpath/uprobe/insn"
)

// Site is an instruction that a probe names.
type Site struct {
	Object   *Object
	Function *Function // that has the instruction, nil if it is unknown
	// Name is the name for the output: of the function, or of the inlined one.
	Name string
	// Address is the virtual address of the instruction in the ELF file.
	Address uint64
	// Entry is true at the entry of Function, where the arguments are where the calling
	// convention puts them. In a Go function the address is behind the stack check.
	Entry bool
	// Return is true for the return of Function. Address is then its first instruction.
	Return bool
	// Copy is the DIE of the inlined copy that begins at or has the address, 0 if there
	// is none.
	Copy dwarf.Offset
	// CopyEntry is true at the entry of that copy.
	CopyEntry bool
}

// Offset returns the file offset of the instruction.
func (s *Site) Offset() (uint64, error) { return s.Object.Offset(s.Address) }

// Unit returns the compilation unit of the site, or nil.
func (s *Site) Unit() *Unit {
	if s.Function == nil || s.Function.debug == nil {
		return nil
	}
	return s.Function.debug.unit
}

// DIE returns the DIE of the function, 0 if there is none.
func (s *Site) DIE() dwarf.Offset {
	if s.Function == nil || s.Function.debug == nil {
		return 0
	}
	return s.Function.debug.offset
}

// Found is the result of a search.
type Found struct {
	Sites []Site
	// Notes are sentences for the user about what was left out.
	Notes []string
}

func (f *Found) note(format string, args ...any) {
	f.Notes = append(f.Notes, fmt.Sprintf(format, args...))
}

// Find returns the instructions that a spec names in the object, at least one. Its errors
// are sentences for the user.
func (o *Object) Find(s *spec.Spec) (*Found, error) {
	found := new(Found)
	var err error
	guardErr := guarded(func() error {
		switch p := &s.Place; {
		case p.HasAddress:
			err = o.findAddress(found, p.Address)
		case p.File != "" && o.meansFunction(p.File):
			function := *s
			function.Place.Function, function.Place.File = spec.Pattern(p.File), ""
			err = o.findFunction(found, &function)
		case p.File != "":
			err = o.findLine(found, p.File, p.Line, 0, ^uint64(0))
		default:
			err = o.findFunction(found, s)
		}
		return nil
	})
	if err == nil {
		err = guardErr
	}
	return found, err
}

// meansFunction reports whether a name that looks like a source file is that of a Go
// function: main.c is the function c of package main if there is no such file.
func (o *Object) meansFunction(name string) bool {
	if len(o.lines().matchFiles(name)) > 0 {
		return false
	}
	functions, _ := o.match(spec.Pattern(name), "")
	return len(functions) > 0
}

func (o *Object) findAddress(found *Found, address uint64) error {
	if _, err := o.Offset(address); err != nil {
		return fmt.Errorf("%w; take an address from objdump -d", err)
	}
	found.Sites = append(found.Sites, o.siteAt(address))
	return nil
}

// siteAt returns the site of an address.
func (o *Object) siteAt(address uint64) Site {
	site := Site{Object: o, Address: address, Name: fmt.Sprintf("%#x", address)}
	if f := o.FunctionAt(address); f != nil {
		site.Function, site.Name, site.Entry = f, f.Name(), f.Address == address
		if !site.Entry {
			site.Name = fmt.Sprintf("%s+%#x", f.Name(), address-f.Address)
		}
	}
	if x := o.index(); x != nil {
		if all := x.covering(address); len(all) > 0 {
			site.Copy, site.CopyEntry = all[0].offset, all[0].entry == address
		}
	}
	return site
}

// nameFor returns the name of a function that a pattern means, for the output: one function
// may have many names.
func (f *Function) nameFor(p spec.Pattern) string {
	best := f.Name()
	if strings.Contains(best, "::") {
		return best // of C++ or Rust
	}
	for _, name := range f.Names {
		if name == string(p) {
			return name
		}
		if p.Match(name) && (!p.Match(best) || strings.HasPrefix(best, "_") && !strings.HasPrefix(name, "_")) {
			best = name
		}
	}
	return best
}

// entry returns the site of the entry of a function.
func (o *Object) entry(f *Function) Site {
	site := Site{Object: o, Function: f, Name: f.Name(), Address: f.Address, Entry: true}
	if f.Go {
		site.Address += uint64(afterStackCheck(o.Code(f.Address, longestCheck)))
	}
	if f.debug != nil && f.debug.unit.Language == LanguageRust {
		// rustc's conventions are its own: behind the prologue the debug information
		// is right.
		site.Address = o.lines().prologueEnd(f)
		site.Entry = site.Address == f.Address
	}
	return site
}

func (o *Object) findFunction(found *Found, s *spec.Spec) error {
	functions, copies := o.match(s.Place.Function, s.Place.In)
	if len(functions) == 0 && len(copies) == 0 {
		return o.unknown(s)
	}
	if s.Place.Function.Glob() {
		copies = nil
		functions = o.withoutIndirect(found, functions)
	} else if err := o.single(s, functions); err != nil {
		return err
	}
	switch {
	case s.Place.Line != spec.NoLine:
		return o.findFunctionLine(found, s, functions)
	case s.Place.Every:
		return o.findEvery(found, functions)
	case s.Place.Offset != 0:
		return o.findOffset(found, s, functions)
	}
	for _, f := range functions {
		site := o.entry(f)
		if s.Return {
			site = Site{Object: o, Function: f, Address: f.Address, Return: true}
		}
		site.Name = f.nameFor(s.Place.Function)
		found.Sites = append(found.Sites, site)
	}
	if len(copies) > 0 && s.Return {
		found.note("%d inlined copies of %s have no return; only calls of the function itself are seen.", len(copies), s.Place.Function)
		copies = nil
	}
	for _, c := range copies {
		found.Sites = append(found.Sites, o.copySite(c))
	}
	if len(found.Sites) == 0 {
		return fmt.Errorf("all copies of %s in %s are inlined, so it has no return; probe its entry, or build the program without inlining", s.Place.Function, o.Path)
	}
	if len(copies) > 0 {
		found.note("%s is inlined at %d places of %s; each of them has a probe.", s.Place.Function, len(copies), path.Base(o.Path))
	}
	return nil
}

// copySite returns the site of an inlined copy's entry.
func (o *Object) copySite(c *inlined) Site {
	x := o.index()
	site := Site{Object: o, Function: o.FunctionAt(c.entry), Address: c.entry, Copy: c.offset, CopyEntry: true}
	qualified, _, linkage := x.names(x.byOffset[c.origin])
	site.Name = cmp.Or(qualified, linkage, "?")
	if site.Function != nil {
		site.Name += " (inlined in " + site.Function.Name() + ")"
	}
	return site
}

// cloneSuffixes are the ends that GCC and LLVM give to copies of a function.
var cloneSuffixes = []string{".constprop.", ".isra.", ".lto_priv.", ".llvm.", ".localalias"}

// isClone reports whether name is a copy of the function base that the compiler has made.
func isClone(name, base string) bool {
	rest, ok := strings.CutPrefix(name, base)
	return ok && slices.ContainsFunc(cloneSuffixes, func(s string) bool { return strings.HasPrefix(rest, s) }) &&
		!isCold(rest) && !strings.Contains(rest, ".part.")
}

// isCold reports whether a name is that of the rarely executed part of a function, which is
// no function itself.
func isCold(name string) bool {
	return strings.HasSuffix(name, ".cold") || strings.Contains(name, ".cold.")
}

// match returns the functions and the inlined copies with a name that matches.
func (o *Object) match(p spec.Pattern, source string) (functions []*Function, copies []*inlined) {
	for _, accept := range matchers(p) {
		for _, f := range o.functions().functions {
			if i := slices.IndexFunc(f.Names, accept); i >= 0 && o.definedIn(f, source) {
				functions = append(functions, f)
			}
		}
		if x := o.index(); x != nil {
			copies = x.copiesOf(func(names ...string) bool { return slices.ContainsFunc(names, accept) })
		}
		if source != "" {
			copies = slices.DeleteFunc(copies, func(c *inlined) bool { return !sameFile(c.unit.Name, source) })
		}
		if len(functions)+len(copies) > 0 {
			break
		}
	}
	return functions, copies
}

// matchers returns the ways to compare names with a pattern. The first that finds a
// function counts: the exact name, a glob, and the end of a qualified name.
func matchers(p spec.Pattern) []func(name string) bool {
	base := string(p)
	exact := func(name string) bool { return name == base || isClone(name, base) }
	if p.Glob() {
		return []func(string) bool{exact, func(name string) bool { return name != "" && p.Match(name) && !isCold(name) }}
	}
	tail := func(name string) bool {
		return strings.HasSuffix(name, "::"+base) || strings.HasSuffix(name, "/"+base)
	}
	return []func(string) bool{exact, tail}
}

// definedIn reports whether a function may come from a source file. Any function comes
// from the file with the empty name.
func (o *Object) definedIn(f *Function, source string) bool {
	if source == "" || f.Source != "" && sameFile(f.Source, source) {
		return true
	}
	if f.debug != nil && sameFile(f.debug.unit.Name, source) {
		return true
	}
	file, _ := o.Line(f.Address)
	return file != "" && sameFile(file, source)
}

// withoutIndirect removes the IFUNCs.
func (o *Object) withoutIndirect(found *Found, functions []*Function) []*Function {
	kept := slices.DeleteFunc(slices.Clone(functions), func(f *Function) bool { return f.Indirect })
	if n := len(functions) - len(kept); n > 0 {
		found.note("%d functions of %s have no probe: they only select an implementation when the program starts (IFUNC).", n, path.Base(o.Path))
	}
	return kept
}

// single fails if a name without wildcards means several functions, or an IFUNC.
func (o *Object) single(s *spec.Spec, functions []*Function) error {
	var originals []*Function
	for _, f := range functions {
		if f.Indirect {
			return fmt.Errorf("%s of %s is an IFUNC: it only selects an implementation when the program starts; %s", s.Place.Function, o.Path, o.implementations(f))
		}
		if !strings.Contains(f.Names[0], ".constprop.") && !strings.Contains(f.Names[0], ".isra.") {
			originals = append(originals, f)
		}
	}
	if len(originals) < 2 {
		return nil
	}
	return fmt.Errorf("%s has %d functions with the name %s: %s; add @FILE to the name, or write a glob such as %s* for all", o.Path, len(originals), s.Place.Function, o.describe(originals), s.Place.Function)
}

// implementations says which functions an IFUNC may select.
func (o *Object) implementations(ifunc *Function) string {
	var names []string
	for _, f := range o.functions().functions {
		for _, name := range f.Names {
			if !f.Indirect && strings.HasPrefix(name, "__"+ifunc.Name()+"_") {
				names = append(names, name)
				break
			}
		}
	}
	if len(names) == 0 {
		return "the implementations have no symbols, so install the debug information of the library"
	}
	return fmt.Sprintf("probe the implementations, for example with __%s_*", ifunc.Name())
}

// describe lists functions with their places.
func (o *Object) describe(functions []*Function) string {
	const shown = 5
	var texts []string
	for _, f := range functions[:min(len(functions), shown)] {
		text := f.Name()
		if file, line := o.Line(f.Address); file != "" {
			text += fmt.Sprintf(" (%s:%d)", path.Base(file), line)
		} else if f.Source != "" {
			text += " (" + f.Source + ")"
		} else {
			text += fmt.Sprintf(" (%#x)", f.Address)
		}
		texts = append(texts, text)
	}
	if len(functions) > shown {
		texts = append(texts, "and others")
	}
	return strings.Join(texts, ", ")
}

// unknown returns the error for a function that does not exist.
func (o *Object) unknown(s *spec.Spec) error {
	t := o.functions()
	p := s.Place.Function
	where := ""
	if s.Place.In != "" {
		where = " that " + s.Place.In + " defines"
	}
	if len(t.functions) == 0 {
		return fmt.Errorf("%s has no symbols (it is stripped), so %s cannot be found; install its debug information, or name an instruction by its address: 0x1234", o.Path, p)
	}
	if p.Glob() {
		return fmt.Errorf("%s has no function with a name like %s%s", o.Path, p, where)
	}
	var names []string
	for _, f := range t.functions {
		names = append(names, f.Names...)
	}
	if near := p.Nearest(names, 5); len(near) > 0 {
		return fmt.Errorf("%s has no function %s%s; there are %s", o.Path, p, where, strings.Join(near, ", "))
	}
	if t.stripped {
		return fmt.Errorf("%s has no function %s%s among the symbols that it exports, and its other symbols are stripped; install its debug information", o.Path, p, where)
	}
	return fmt.Errorf("%s has no function %s%s; nm %[1]s lists its functions", o.Path, p, where)
}

func (o *Object) findOffset(found *Found, s *spec.Spec, functions []*Function) error {
	for _, f := range functions {
		if s.Place.Offset >= f.Size {
			return fmt.Errorf("the offset %#x is beyond the end of %s, which has %d bytes", s.Place.Offset, f.Name(), f.Size)
		}
		found.Sites = append(found.Sites, o.siteAt(f.Address+s.Place.Offset))
	}
	return nil
}

// findEvery finds each instruction of functions.
func (o *Object) findEvery(found *Found, functions []*Function) error {
	for _, f := range functions {
		code := o.Code(f.Address, int(min(f.Size, maxCode)))
		for at := 0; at < len(code); {
			i, err := insn.Decode(code[at:])
			if err != nil {
				found.note("The instructions of %s are only known up to the offset %#x.", f.Name(), at)
				break
			}
			found.Sites = append(found.Sites, o.siteAt(f.Address+uint64(at)))
			at += i.Len()
		}
	}
	if len(found.Sites) == 0 {
		return fmt.Errorf("the instructions of the function are not known; name one by its address")
	}
	return nil
}

// maxCode is the maximum number of bytes of a function whose instructions are decoded.
const maxCode = 16 << 20

// findFunctionLine finds a line that is counted from the first line of a function.
func (o *Object) findFunctionLine(found *Found, s *spec.Spec, functions []*Function) error {
	if o.DWARF() == nil {
		return o.noLines()
	}
	for _, f := range functions {
		file, first := o.Line(f.Address)
		if declared := o.declarationLine(f); declared != 0 {
			first = declared
		}
		if file == "" {
			return fmt.Errorf("the debug information of %s has no lines for %s", o.Path, f.Name())
		}
		if err := o.findLine(found, file, first+s.Place.Line, f.Address, f.Address+f.Size); err != nil {
			return fmt.Errorf("%w; the number after %s counts from the function's first line, %d, which is 0", err, s.Place.Function, first)
		}
	}
	return nil
}

// declarationLine returns the line on which the function is defined, 0 if it is unknown.
func (o *Object) declarationLine(f *Function) int {
	x := o.index()
	if x == nil {
		return 0
	}
	for s, depth := f.debug, 0; s != nil && depth < 8; s, depth = x.byOffset[s.origin], depth+1 {
		if s.line != 0 {
			return s.line
		}
	}
	return 0
}

func (o *Object) noLines() error {
	return fmt.Errorf("%s has no debug information, so its lines are unknown; build it with -g, or install its debug information below %s", o.Path, debugDirectory)
}

// findLine finds the code of a line in [low, high): the first statement of it in each
// function, and in each inlined copy.
func (o *Object) findLine(found *Found, file string, line int, low, high uint64) error {
	if o.DWARF() == nil {
		return o.noLines()
	}
	t := o.lines()
	files := t.matchFiles(file)
	if len(files) == 0 {
		return o.unknownFile(file)
	}
	type place struct {
		function *Function
		copy     dwarf.Offset
	}
	seen := map[place]bool{}
	for _, address := range t.starts(files, line, low, high) {
		site := o.siteAt(address)
		at := place{site.Function, site.Copy}
		if seen[at] {
			continue
		}
		seen[at] = true
		if site.Entry {
			site = o.entry(site.Function)
		}
		site.Name = fmt.Sprintf("%s (%s:%d)", functionName(site.Function), path.Base(file), line)
		found.Sites = append(found.Sites, site)
	}
	if len(seen) > 0 {
		return nil
	}
	before, after := t.neighbours(files, line, low, high)
	return fmt.Errorf("line %d of %s has no code%s", line, path.Base(file), nearby(before, after))
}

func functionName(f *Function) string {
	if f == nil {
		return "?"
	}
	return f.Name()
}

// nearby names the lines with code around one without.
func nearby(before, after int) string {
	switch {
	case before != 0 && after != 0:
		return fmt.Sprintf("; the nearest lines with code are %d and %d", before, after)
	case before != 0:
		return fmt.Sprintf("; the last line with code is %d", before)
	case after != 0:
		return fmt.Sprintf("; the first line with code is %d", after)
	}
	return ""
}

func (o *Object) unknownFile(file string) error {
	var names []string
	for _, f := range o.lines().files {
		names = append(names, path.Base(f))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	near := spec.Pattern(path.Base(file)).Nearest(names, 5)
	if len(near) == 0 {
		return fmt.Errorf("the debug information of %s names no source file %s", o.Path, file)
	}
	return fmt.Errorf("the debug information of %s names no source file %s; there are %s", o.Path, file, strings.Join(near, ", "))
}
