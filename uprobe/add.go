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
	var fresh, applied patchSet
	for _, b := range probes {
		for _, s := range b.sites {
			switch {
			case !s.installed:
				s.installed = true
				fresh.add(s, s.patch)
			case s.filtered():
				applied.add(s, s.patch)
			}
			if s.counter != nil && !s.counted {
				s.counted = true
				fresh.add(s, s.counter)
			}
		}
	}
	for i := range fresh {
		if err := fresh[i].apply(); err != nil {
			for ; i < len(fresh); i++ {
				fresh[i].notInstalled()
			}
			return err
		}
	}
	return applied.refresh()
}

// refresh makes the breakpoints of sites follow their consumers' filters. Error: ENOMEM.
func refresh(sites []*site) error {
	var set patchSet
	for _, s := range sites {
		set.add(s, s.patch)
	}
	return set.refresh()
}

// patchSet are patches, by their object. There are few objects.
type patchSet []objectPatches

// objectPatches are patches of one object, and their sites.
type objectPatches struct {
	mapped  mm.Mappable
	patches []*mm.Patch
	sites   []*site
}

func (l *patchSet) add(s *site, patch *mm.Patch) {
	i := slices.IndexFunc(*l, func(o objectPatches) bool { return o.mapped == s.mapped })
	if i < 0 {
		i = len(*l)
		*l = append(*l, objectPatches{mapped: s.mapped})
	}
	o := &(*l)[i]
	o.patches, o.sites = append(o.patches, patch), append(o.sites, s)
}

// sorted returns the patches in order of their offset, each once.
func (o *objectPatches) sorted() []*mm.Patch {
	order := func(a, b *mm.Patch) int { return cmp.Compare(a.Offset, b.Offset) }
	if !slices.IsSortedFunc(o.patches, order) {
		slices.SortFunc(o.patches, order)
	}
	return slices.Compact(o.patches)
}

func (o *objectPatches) apply() error { return o.mapped.Mappings().AddPatches(o.mapped, o.sorted()) }

// notInstalled notes that the patches are not applied to memory.
func (o *objectPatches) notInstalled() {
	for _, s := range o.sites {
		s.installed = s.installed && !slices.Contains(o.patches, s.patch)
		s.counted = s.counted && !slices.Contains(o.patches, s.counter)
	}
}

func (l patchSet) refresh() error {
	for i := range l {
		o := &l[i]
		if err := o.mapped.Mappings().RefreshPatches(o.mapped, o.sorted()); err != nil {
			return err
		}
	}
	return nil
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
	var unused, applied patchSet
	for _, b := range probes {
		if b.removed.Swap(true) {
			continue
		}
		for _, s := range b.sites {
			s.drop(b)
			p.release(s, &unused)
		}
		if b.imaged {
			p.images.drop(b.object)
		}
		b.file.DecRef()
	}
	for i := range unused {
		o := &unused[i]
		o.mapped.Mappings().RemovePatches(o.mapped, o.sorted())
	}
	for _, b := range probes {
		for _, s := range b.sites {
			if s.installed && b.consumer.WantsSpace != nil {
				applied.add(s, s.patch)
			}
		}
	}
	applied.refresh() // without memory a breakpoint stays that nobody wants; its hits have no effect
}

// release adds the patches of a site that has lost a probe to unused, if no other probe
// needs them.
func (p *Probes) release(s *site, unused *patchSet) {
	if s.counter != nil && len(s.roles.Load().entries) == 0 {
		if s.counted {
			unused.add(s, s.counter)
		}
		s.counter, s.counterAt, s.counted = nil, 0, false
	}
	if !s.unused() {
		return
	}
	delete(p.sites, s.place)
	if s.installed {
		unused.add(s, s.patch)
		s.installed = false
	}
}
