package uprobe

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/mm"
)

// AddAll puts one probe at each location, with the consumer of the same index: all of
// them, or none. It walks over each address space once for each file. Errors: those of Add.
func (p *Probes) AddAll(l []Location, c []*Consumer) ([]*Probe, error) {
	if len(l) != len(c) {
		return nil, unix.EINVAL
	}
	if err := p.memory.Admit(int64(len(l)) * probeBytes); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	probes := make([]*Probe, 0, len(l))
	complete := false
	defer func() {
		if !complete { // an error, or a panic
			p.remove(probes)
		}
	}()
	for i := range l {
		b, err := p.newProbe(l[i], c[i])
		if err != nil {
			return nil, err
		}
		probes = append(probes, b)
		if err := b.findSites(l[i].ReferenceCounter); err != nil {
			return nil, err
		}
	}
	if err := install(probes); err != nil {
		return nil, err
	}
	complete = true
	return probes, nil
}

// newProbe returns a probe without sites.
func (p *Probes) newProbe(l Location, c *Consumer) (*Probe, error) {
	if c == nil || c.Hit == nil && c.Return == nil || l.File == nil || l.ReferenceCounter%2 != 0 {
		return nil, unix.EINVAL
	}
	o, err := objectOf(p.memory, l.File)
	if err != nil {
		return nil, err
	}
	l.File.IncRef()
	return &Probe{probes: p, file: l.File, object: o, offset: l.Offset, consumer: c}, nil
}

// findSites gives the probe its sites. A return probe with known exits needs no breakpoint
// at its location. The reference counter of all probes of a site must be the same: EINVAL.
func (b *Probe) findSites(counter uint64) error {
	s, err := b.probes.siteAt(b.object, b.offset)
	if err != nil {
		return err
	}
	defer func() {
		if s.unused() {
			delete(b.probes.sites, s.place)
		}
	}()
	if !s.setCounter(counter) {
		return unix.EINVAL
	}
	if b.consumer.Return != nil {
		if err := b.findExits(); err != nil {
			return err
		}
	}
	if b.consumer.Hit != nil || b.hijacks || counter != 0 {
		s.addEntry(b)
		b.sites = append(b.sites, s)
	}
	return nil
}

// siteAt returns the site of a place. It makes one if there is none.
func (p *Probes) siteAt(o object, offset uint64) (*site, error) {
	at := place{o.mapped, offset}
	if s := p.sites[at]; s != nil {
		return s, nil
	}
	s, err := newSite(o, offset, p.lastID+1)
	if err == nil {
		p.lastID++
		p.sites[at] = s
	}
	return s, err
}

// setCounter sets the offset of the site's reference counter. It reports false if a probe
// at the site has another one.
func (s *site) setCounter(offset uint64) bool {
	if len(s.roles.Load().entries) > 0 {
		return s.counterAt == offset
	}
	if s.counterAt = offset; offset != 0 {
		s.counter = &mm.Patch{Offset: offset, Owner: s}
	}
	return true
}

// install applies the patches of the probes' sites to memory. Those that are applied
// already are refreshed, because a new consumer may want more address spaces.
func install(probes []*Probe) error {
	fresh, applied := make(patchSet), make(patchSet)
	for _, b := range probes {
		for _, s := range b.sites {
			for _, patch := range s.patches() {
				switch {
				case !s.installed[patch]:
					fresh.add(s, patch)
				case s.filtered():
					applied.add(s, patch)
				}
			}
		}
	}
	for mapped, patches := range fresh {
		if err := mapped.Mappings().AddPatches(mapped, patches.sorted()); err != nil {
			return err
		}
		patches.mark(true)
	}
	return applied.refresh()
}

// refresh makes the breakpoints of sites follow their consumers' filters. Error: ENOMEM.
func refresh(sites []*site) error {
	set := make(patchSet)
	for _, s := range sites {
		set.add(s, s.patch)
	}
	return set.refresh()
}

// patches returns the patches of the site.
func (s *site) patches() []*mm.Patch {
	if s.counter == nil {
		return []*mm.Patch{s.patch}
	}
	return []*mm.Patch{s.patch, s.counter}
}

// patchSet is a set of patches for each object.
type patchSet map[mm.Mappable]sitePatches

// sitePatches are patches of one object, with their sites.
type sitePatches map[*mm.Patch]*site

func (l patchSet) add(s *site, patch *mm.Patch) {
	if l[s.mapped] == nil {
		l[s.mapped] = make(sitePatches)
	}
	l[s.mapped][patch] = s
}

// sorted returns the patches in order of their offset.
func (l sitePatches) sorted() []*mm.Patch {
	patches := make([]*mm.Patch, 0, len(l))
	for patch := range l {
		patches = append(patches, patch)
	}
	slices.SortFunc(patches, func(a, b *mm.Patch) int { return cmp.Compare(a.Offset, b.Offset) })
	return patches
}

// mark notes for each patch whether it is applied to memory.
func (l sitePatches) mark(installed bool) {
	for patch, s := range l {
		if installed {
			s.installed[patch] = true
		} else {
			delete(s.installed, patch)
		}
	}
}

func (l patchSet) refresh() error {
	for mapped, patches := range l {
		if err := mapped.Mappings().RefreshPatches(mapped, patches.breakpoints()); err != nil {
			return err
		}
	}
	return nil
}

// breakpoints returns the patches that are breakpoints, sorted.
func (l sitePatches) breakpoints() []*mm.Patch {
	return slices.DeleteFunc(l.sorted(), func(p *mm.Patch) bool { return p.Original == nil })
}

// RemoveAll removes probes, as Remove does. It walks over each address space once for each
// file.
func RemoveAll(probes []*Probe) {
	if len(probes) == 0 {
		return
	}
	p := probes[0].probes
	p.removeLocked(probes)
	p.threads.awaitHits(probes)
}

func (p *Probes) removeLocked(probes []*Probe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(probes)
}

// remove takes the roles of the probes from their sites, and removes the sites that no
// probe needs any more. The lock is held.
func (p *Probes) remove(probes []*Probe) {
	unused, applied := make(patchSet), make(patchSet)
	for _, b := range probes {
		if b.removed.Swap(true) {
			continue
		}
		for _, s := range b.sites {
			s.drop(b)
			p.release(s, unused, applied)
		}
		if b.imaged {
			p.images.drop(b.object)
		}
		b.file.DecRef()
	}
	for mapped, patches := range unused {
		mapped.Mappings().RemovePatches(mapped, patches.sorted())
		patches.mark(false)
	}
	applied.refresh() // without memory a breakpoint stays that nobody wants; its hits have no effect
}

// release sorts the patches of a site that has lost a probe into those that are unused now
// and those that must be refreshed.
func (p *Probes) release(s *site, unused, applied patchSet) {
	if s.counter != nil && len(s.roles.Load().entries) == 0 {
		unused.addInstalled(s, s.counter)
		s.counter, s.counterAt = nil, 0
	}
	switch {
	case s.unused():
		delete(p.sites, s.place)
		unused.addInstalled(s, s.patch)
		delete(applied[s.mapped], s.patch)
	case s.installed[s.patch]:
		applied.add(s, s.patch)
	}
}

// addInstalled adds a patch if it is applied to memory.
func (l patchSet) addInstalled(s *site, patch *mm.Patch) {
	if s.installed[patch] {
		l.add(s, patch)
	}
}
