package trace

import (
	"golang.org/x/sys/unix"
)

// The snapshot of an instance is a second set of rings. Taking one exchanges the contents of
// both, so the live rings go on with the records of the snapshot before (Linux: max_buffer).
// The rings are charged as those of the instance: see ring.

// AllocateSnapshot makes the rings of the snapshot, of the size of the live ones, unless there
// are any. It may sleep. Error: ENOMEM.
func (i *Instance) AllocateSnapshot() error {
	i.sizing.Lock()
	defer i.sizing.Unlock()
	if i.snapshot.Load() != nil {
		return nil
	}
	memory, rings := i.registry.config.Memory, make([]*ring, 0, len(i.rings))
	for _, live := range i.rings {
		pages := live.pages()
		bytes := int64(pages+1) * PageSize
		if err := memory.Reserve(bytes); err != nil {
			return err
		}
		one := newRing(pages, &i.queue)
		one.setOverwrite(i.has(optionOverwrite))
		rings = append(rings, one)
		memory.Unreserve(bytes)
	}
	i.snapshot.Store(&rings)
	return nil
}

// TakeSnapshot takes a snapshot of all rings. It makes the rings of the snapshot, or gives them
// the size of the live ones. It may sleep. Errors: ENOMEM, EINVAL for one CPU, as on Debian's
// kernel.
func (i *Instance) TakeSnapshot(cpu int) error {
	if cpu != AllCPUs {
		return unix.EINVAL
	}
	if err := i.AllocateSnapshot(); err != nil {
		return err
	}
	i.sizing.Lock()
	defer i.sizing.Unlock()
	rings := i.snapshotRings(AllCPUs)
	if rings == nil {
		return nil // it was freed meanwhile
	}
	for n, live := range i.rings {
		if err := rings[n].resize(live.pages(), i.registry.config.Memory); err != nil {
			return err
		}
	}
	i.swap()
	return nil
}

// FreeSnapshot removes the snapshot and its rings. Error: EINVAL for one CPU.
func (i *Instance) FreeSnapshot(cpu int) error {
	if cpu != AllCPUs {
		return unix.EINVAL
	}
	i.sizing.Lock()
	defer i.sizing.Unlock()
	i.snapshot.Store(nil)
	return nil
}

// ClearSnapshot removes the records of the snapshot.
func (i *Instance) ClearSnapshot(cpu int) {
	for _, r := range i.snapshotRings(cpu) {
		r.reset()
	}
}

// snapshotRings returns the ring of a CPU, or all rings, of the snapshot; nil if there is none.
func (i *Instance) snapshotRings(cpu int) []*ring {
	rings := i.snapshot.Load()
	switch {
	case rings == nil:
		return nil
	case cpu == AllCPUs:
		return *rings
	}
	return (*rings)[cpu : cpu+1]
}

// swap exchanges the records of the live rings and of the snapshot. It reports false if there
// is no snapshot. It does not sleep.
func (i *Instance) swap() bool {
	rings := i.snapshotRings(AllCPUs)
	if rings == nil {
		return false
	}
	for n, live := range i.rings {
		live.swap(rings[n])
	}
	return true
}

// swap exchanges the contents with those of a ring of a snapshot.
func (r *ring) swap(snapshot *ring) {
	r.mu.Lock()
	defer r.mu.Unlock()
	snapshot.mu.Lock()
	defer snapshot.mu.Unlock()
	r.ringContents, snapshot.ringContents = snapshot.ringContents, r.ringContents
}

// triggerSnapshot is the trigger snapshot. If the rings were freed, it stops the instance, so
// that the records stay where they are (Linux: tracing_snapshot_instance_cond).
func (i *Instance) triggerSnapshot(t Task) {
	if i.swap() {
		return
	}
	i.Mark(t, []byte("*** SNAPSHOT NOT ALLOCATED ***\n"))
	i.Mark(t, []byte("*** stopping trace here!   ***\n"))
	i.setOn(false)
}

const snapshotCommands = `# Snapshot commands:
# echo 0 > snapshot : Clears and frees snapshot buffer
# echo 1 > snapshot : Allocates snapshot buffer, if not already allocated.
#                      Takes a snapshot of the main buffer.
# echo 2 > snapshot : Clears snapshot buffer (but does not allocate or free)
#                      (Doesn't have to be '2' works with any number that
#                       is not a '0' or '1')
`

const cpuSnapshotCommands = `# Snapshot commands:
# echo 0 > snapshot : Invalid for per_cpu snapshot file.
# echo 1 > snapshot : Not supported with this kernel.
#                     Must use main snapshot file to allocate.
# echo 2 > snapshot : Clears this cpu's snapshot buffer (but does not allocate)
#                      (Doesn't have to be '2' works with any number that
#                       is not a '0' or '1')
`

// snapshotHeader returns what precedes the records in the file snapshot: without records, the
// state and the commands.
func (i *Instance) snapshotHeader(cpu int) []byte {
	rings := i.snapshotRings(cpu)
	if entries, _ := entriesOf(rings); entries > 0 {
		return i.headerOf(rings)
	}
	text := "# tracer: nop\n#\n#\n# * Snapshot is allocated *\n#\n"
	if rings == nil {
		text = "# tracer: nop\n#\n#\n# * Snapshot is freed *\n#\n"
	}
	if cpu == AllCPUs {
		return []byte(text + snapshotCommands)
	}
	return []byte(text + cpuSnapshotCommands)
}
