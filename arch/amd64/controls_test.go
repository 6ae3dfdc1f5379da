package amd64

import (
	"slices"
	"testing"
	"unsafe"
)

// everyControl maps each row of controlTable to a value that differs from the
// default in this control alone.
var everyControl = map[string]controls{
	"TSC denial":      {denyTSC: true},
	"block step":      {blockStep: true},
	"debug registers": {debug: DebugRegisters{Address: [4]uint64{0x1000}, Control: 1}},
	"TLS":             {tls: tlsDescriptors{2: 1}},
	"LDT":             {ldt: ldtReference{number: 1}},
	"ports":           {ports: 1},
	"selectors":       {selectors: selectors{gs: UserSS}},
}

// TestControlDiffersInItsOwnRowAlone: a difference in one field is seen by
// exactly the row of that field, and one of a table also by that of the selectors.
func TestControlDiffersInItsOwnRowAlone(t *testing.T) {
	if len(everyControl) != len(controlTable) {
		t.Fatalf("%d controls are tested, the table has %d", len(everyControl), len(controlTable))
	}
	for name, want := range everyControl {
		for _, row := range controlTable {
			table := row.name == "selectors" && (name == "TLS" || name == "LDT")
			if got := row.differs(&want, new(controls)); got != (row.name == name || table) {
				t.Errorf("%s differs: row %q says %v", name, row.name, got)
			}
			if row.differs(&want, &want) {
				t.Errorf("row %q sees a difference between equal values", row.name)
			}
		}
	}
}

// recordingTable is controlTable with loads that note their names.
func recordingTable(loaded *[]string) *[len(controlTable)]control {
	table := controlTable
	for i := range table {
		table[i].load = func(*Frame) { *loaded = append(*loaded, table[i].name) }
	}
	return &table
}

// TestOnlyDifferingControlsAreLoaded walks through all combinations of what a
// CPU has and a program wants.
func TestOnlyDifferingControlsAreLoaded(t *testing.T) {
	values := []controls{{}}
	for _, v := range everyControl {
		values = append(values, v)
	}
	for _, want := range values {
		for _, have := range values {
			var loaded, differing []string
			for _, row := range controlTable {
				if row.differs(&want, &have) {
					differing = append(differing, row.name)
				}
			}
			cpu := have
			loadDifference(recordingTable(&loaded), &Frame{controls: want}, &cpu)
			if !slices.Equal(loaded, differing) {
				t.Errorf("a CPU with %+v for a program that wants %+v: loaded %q, want %q", have, want, loaded, differing)
			}
			if cpu != want {
				t.Errorf("the CPU is said to have %+v after loading %+v", cpu, want)
			}
		}
	}
}

// TestLastStepIsRaisedForADifference: USER_RETURN_NOTIFY is raised when, and
// only when, the CPU has something else than the program wants.
func TestLastStepIsRaisedForADifference(t *testing.T) {
	defer func(mask uint32) { lastMask = mask; controlsLoaded = [MaxCPUs]controls{} }(lastMask)
	lastMask = 1 << 11
	c := &perCPU{id: 2}
	for name, v := range everyControl {
		for _, have := range []controls{{}, v} {
			f := &Frame{controls: v}
			controlsLoaded[c.id] = have
			raiseControls(c, f)
			if raised := f.ThreadFlags.Load() == lastMask; raised != (have != v) {
				t.Errorf("%s: raised is %v where the CPU has %+v", name, raised, have)
			}
		}
	}
}

// TestSelectorsAreKeptOnlyAfterTheirLoad: what the segment registers hold
// belongs to the program only once LoadControls has loaded its selectors.
func TestSelectorsAreKeptOnlyAfterTheirLoad(t *testing.T) {
	mine, others, changed := selectors{ds: 0x2b}, selectors{ds: 0x23}, selectors{es: 0x2b}

	f := &Frame{controls: controls{selectors: mine}}
	have := controls{selectors: others}
	keepSelectors(f, &have, others) // the state leaves the CPU before user mode
	if f.controls.selectors != mine || have.selectors != others {
		t.Errorf("before the load: the program wants %+v, the CPU has %+v", f.controls.selectors, have.selectors)
	}

	have.selectors = mine
	keepSelectors(f, &have, changed) // the program has changed them
	if f.controls.selectors != changed || have.selectors != changed {
		t.Errorf("after the load: the program wants %+v, the CPU has %+v", f.controls.selectors, have.selectors)
	}
}

// TestControlsOverForkAndExec compares what is kept with Linux 6.1.
func TestControlsOverForkAndExec(t *testing.T) {
	all := controls{
		denyTSC: true, blockStep: true,
		debug:     DebugRegisters{Control: 1},
		selectors: selectors{ds: UserSS},
	}
	if got, want := all.forked(), (controls{denyTSC: true, selectors: all.selectors}); got != want {
		t.Errorf("a child has %+v, want %+v", got, want)
	}
	if got, want := all.executed(), (controls{denyTSC: true, blockStep: true}); got != want {
		t.Errorf("after exec: %+v, want %+v", got, want)
	}
	parent, child := NewFrame(0), NewFrame(0)
	parent.controls = all
	child.Copy(parent)
	parent.ResetRegisters()
	if child.controls != all.forked() || parent.controls != all.executed() {
		t.Errorf("Copy gives %+v, ResetRegisters leaves %+v", child.controls, parent.controls)
	}
}

func TestControlSettersAreReadBack(t *testing.T) {
	f := NewFrame(0)
	d := DebugRegisters{Address: [4]uint64{0x401000}, Control: 1}
	f.DenyTSC(true)
	f.SetBlockStep(true)
	if !f.SetDebugRegisters(d) || !f.TSCDenied() || !f.BlockStep() || f.DebugRegisters() != d {
		t.Fatalf("the frame wants %+v", f.controls)
	}
	have := f.controls
	blockStepEnded(f, &have)
	if f.BlockStep() || have.blockStep {
		t.Error("BTF is still wanted, or thought to be loaded, after a #DB has cleared it")
	}
}

// TestDebugRegistersOfAUserAreChecked: only breakpoints on user memory are
// taken, and a refused set changes nothing.
func TestDebugRegistersOfAUserAreChecked(t *testing.T) {
	const execute, write1, write2, write8, port = 0 << 16, 1 << 16, 5 << 16, 9 << 16, 2 << 16
	for _, c := range []struct {
		name string
		d    DebugRegisters
		want bool
	}{
		{"none", DebugRegisters{}, true},
		{"execution", DebugRegisters{Address: [4]uint64{0x401001}, Control: execute | 1}, true},
		{"a byte written", DebugRegisters{Address: [4]uint64{0x401001}, Control: write1 | 2}, true},
		{"8 bytes, aligned", DebugRegisters{Address: [4]uint64{0x401008}, Control: write8 | 1}, true},
		{"8 bytes, not aligned", DebugRegisters{Address: [4]uint64{0x401004}, Control: write8 | 1}, false},
		{"2 bytes, not aligned", DebugRegisters{Address: [4]uint64{0x401001}, Control: write2 | 1}, false},
		{"execution of 2 bytes", DebugRegisters{Address: [4]uint64{0x401000}, Control: 4<<16 | 1}, false},
		{"a port", DebugRegisters{Address: [4]uint64{0x60}, Control: port | 1}, false},
		{"the kernel", DebugRegisters{Address: [4]uint64{DirectMap}, Control: write1 | 1}, false},
		{"the kernel, not enabled", DebugRegisters{Address: [4]uint64{DirectMap}, Control: write1}, true},
		{"the fourth, in the kernel", DebugRegisters{Address: [4]uint64{3: DirectMap}, Control: 1<<28 | 1<<6}, false},
	} {
		f := NewFrame(0)
		if got := f.SetDebugRegisters(c.d); got != c.want {
			t.Errorf("%s: accepted is %v", c.name, got)
		}
		if !c.want && f.DebugRegisters() != (DebugRegisters{}) {
			t.Errorf("%s: refused, and taken all the same", c.name)
		}
	}
	f := NewFrame(0)
	if f.SetDebugRegisters(DebugRegisters{Control: 1<<32 | 1<<13 | 0x300}); f.DebugRegisters().Control != 0x300 {
		t.Errorf("DR7 is %#x: reserved bits are not dropped", f.DebugRegisters().Control)
	}
}

// TestEveryControlWordIsCompared: a CPU's controls differ from a program's if any bit of any
// word does.
func TestEveryControlWordIsCompared(t *testing.T) {
	for _, base := range []uint64{0, 0x5555_5555_5555_5555, ^uint64(0)} {
		var want, have controls
		w, h := (*[controlWords]uint64)(unsafe.Pointer(&want)), (*[controlWords]uint64)(unsafe.Pointer(&have))
		for i := range w {
			w[i], h[i] = base, base
		}
		if !sameControls(&want, &have) {
			t.Errorf("equal controls of words %#x differ", base)
		}
		for i := range w {
			for bit := range 64 {
				h[i] ^= 1 << bit
				if sameControls(&want, &have) {
					t.Errorf("bit %d of word %d is not compared", bit, i)
				}
				h[i] ^= 1 << bit
			}
		}
	}
}
