package main

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"sync"

	"slowpath/mm"
	"slowpath/probespec"
)

// sentMaps knows which mappings of processes the host has.
type sentMaps struct {
	put func(process uint32, text []byte) (written bool)

	mu     sync.Mutex
	hashes map[uint32]uint64 // of the mappings that were sent last, by process
	seed   maphash.Seed
}

// maxMappings is the number of processes whose mappings are remembered.
const maxMappings = 1024

func newSentMaps(put func(process uint32, text []byte) (written bool)) *sentMaps {
	return &sentMaps{put: put, hashes: map[uint32]uint64{}, seed: maphash.MakeSeed()}
}

// send sends the executable mappings of a process, if they are not the ones that were sent
// last.
func (m *sentMaps) send(process uint32, space *mm.AddressSpace) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var h maphash.Hash
	h.SetSeed(m.seed)
	visitCode(space, func(r *mm.Region) {
		maphash.WriteComparable(&h, [4]uint64{r.Start, r.End, r.Offset, r.Inode})
	})
	sum := h.Sum64()
	if known, ok := m.hashes[process]; ok && known == sum {
		return
	}
	var text bytes.Buffer
	visitCode(space, func(r *mm.Region) {
		if text.Len() < probespec.MaxMaps {
			fmt.Fprintf(&text, "%x-%x r-xp %x %s\n", r.Start, r.End, r.Offset, r.Name)
		}
	})
	if len(m.hashes) >= maxMappings {
		clear(m.hashes)
	}
	if m.put(process, text.Bytes()) { // otherwise they are sent with the next record
		m.hashes[process] = sum
	}
}

// visitCode calls f for the executable areas of files.
func visitCode(space *mm.AddressSpace, f func(r *mm.Region)) {
	space.VisitRegions(mm.WithoutPages, func(r *mm.Region) error {
		if r.Prot&mm.ProtExec != 0 && r.Inode != 0 {
			f(r)
		}
		return nil
	})
}
