package perf

import (
	"encoding/binary"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/guard"
	"slowpath/mm"
	"slowpath/task"
	"slowpath/wait"
)

func put16(p []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(p, v) }
func put32(p []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(p, v) }
func put64(p []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(p, v) }

// rate decides which hits are sampled: one of each period, or at most so many in a
// second.
type rate struct {
	period atomic.Uint64
	left   atomic.Int64 // hits until the next sample
	gap    int64        // nanoseconds between two samples of a frequency; 0 for a period
	last   atomic.Int64
}

func (r *rate) init(a *Attributes) {
	if a.Has(unix.PerfBitFreq) && a.Sample > 0 {
		r.gap = int64(1e9 / a.Sample)
		r.period.Store(1)
		return
	}
	period := a.Sample
	if a.samples(unix.PERF_SAMPLE_PERIOD) {
		period = min(period, 1) // each hit is a sample (Linux: perf_swevent_event)
	}
	r.period.Store(period)
	r.left.Store(int64(period))
}

// take counts a hit and reports whether it is sampled, and for how many hits it stands.
func (r *rate) take() (period uint64, sampled bool) {
	if r.gap > 0 {
		return 1, r.due(r.gap)
	}
	period = r.period.Load()
	if period <= 1 {
		return 1, true
	}
	if r.left.Add(-1) > 0 {
		return 0, false
	}
	r.left.Add(int64(period))
	return period, true
}

// due reports whether gap nanoseconds have passed since the last sample. If so, the caller
// takes one now.
func (r *rate) due(gap int64) bool {
	now, last := clock.Monotonic(), r.last.Load()
	return now-last >= gap && r.last.CompareAndSwap(last, now)
}

// Values of records.
const (
	headerSize     = 8 // struct perf_event_header
	maxRecord      = 0xffff
	miscUser       = 2                                                    // PERF_RECORD_MISC_USER
	noMemoryAccess = 0x1 | 0x1<<5 | 0x1<<19 | 0x1<<24 | 0x1<<26 | 0x1<<33 // PERF_MEM_NA
)

// sampleHit writes a sample if one is due.
func (e *Event) sampleHit(s sample) {
	if period, sampled := e.rate.take(); sampled {
		e.sampleFor(s, period)
	}
}

// sampleFor writes a sample that stands for period hits.
func (e *Event) sampleFor(s sample, period uint64) {
	if r := e.ring.Load(); r != nil {
		withRecord(s.builder(), func(p []byte) []byte {
			p = e.appendSample(p, &s, period)
			e.write(r, s.task, p)
			return p
		})
	}
	e.countLimit()
}

// withRecord calls do with the empty buffer in which the task builds records; do returns
// it. A record that is built while another one is being built has a buffer of its own, and
// so has one without a task. The caller runs on the task's own goroutine.
func withRecord(t *task.Task, do func(p []byte) []byte) {
	if t == nil {
		do(nil)
		return
	}
	s := of(t)
	p := s.record
	s.record = nil
	s.record = do(p[:0])
}

// countLimit disables the event after the samples of PERF_EVENT_IOC_REFRESH.
func (e *Event) countLimit() {
	if e.limit.Load() == 0 || e.limit.Add(-1) > 0 {
		return
	}
	e.setEnabled(disabled)
	e.wakeLater(wait.Hup)
}

// wakeLater wakes who polls the event on a goroutine of its own: the caller may hold the
// lock of a wait queue (Linux: perf_pending_irq).
func (e *Event) wakeLater(what wait.Events) {
	go func() {
		defer guard.Contain("the wake-up of a reader of perf events")
		e.wake(what)
	}()
}

// write appends a finished record to the ring.
func (e *Event) write(r *Ring, t *task.Task, record []byte) {
	if len(record) > maxRecord || !r.hold() {
		return
	}
	defer r.put()
	fits, wake := r.write(record, e.attr, func(n uint64) []byte { return e.lostRecord(t, n) })
	if !fits {
		e.lost.Add(1)
	}
	if wake {
		e.wakeLater(wait.Readable)
	}
}

// begin appends the header of a record, and finish sets its size.
func begin(p []byte, kind uint32, misc uint16) []byte {
	return put16(put16(put32(p, kind), misc), 0)
}

func finish(p []byte) []byte {
	binary.LittleEndian.PutUint16(p[headerSize-2:], uint16(min(len(p), maxRecord)))
	return p
}

// time returns the time stamp of records.
func (e *Event) now() uint64 {
	if e.attr.Has(unix.PerfBitUseClockID) && (e.attr.Clockid == unix.CLOCK_REALTIME || e.attr.Clockid == unix.CLOCK_TAI) {
		return uint64(e.perf.kernel.Wall().Now())
	}
	return uint64(clock.Monotonic())
}

// validClock reports whether events can use the clock (Linux: perf_event_set_clock).
func validClock(id int32) bool {
	switch id {
	case unix.CLOCK_MONOTONIC, unix.CLOCK_MONOTONIC_RAW, unix.CLOCK_REALTIME, unix.CLOCK_BOOTTIME, unix.CLOCK_TAI:
		return true
	}
	return false
}

// appendSample appends a PERF_RECORD_SAMPLE. The fields are in the order of the manual
// page.
func (e *Event) appendSample(p []byte, s *sample, period uint64) []byte {
	a, t, f := e.attr, s.task, s.frame
	ip := uint64(0)
	if f != nil {
		ip = f.RIP
	}
	p = begin(p, unix.PERF_RECORD_SAMPLE, miscUser)
	word := func(what uint64, v uint64) {
		if a.samples(what) {
			p = put64(p, v)
		}
	}
	word(unix.PERF_SAMPLE_IDENTIFIER, e.id)
	word(unix.PERF_SAMPLE_IP, ip)
	word(unix.PERF_SAMPLE_TID, taskIDs(t))
	if a.samples(unix.PERF_SAMPLE_TIME) {
		p = put64(p, e.now())
	}
	word(unix.PERF_SAMPLE_ADDR, s.address)
	word(unix.PERF_SAMPLE_ID, e.id)
	word(unix.PERF_SAMPLE_STREAM_ID, e.id)
	word(unix.PERF_SAMPLE_CPU, uint64(e.perf.cpuOf(t)))
	word(unix.PERF_SAMPLE_PERIOD, period)
	if a.samples(unix.PERF_SAMPLE_READ) {
		p = e.appendRead(p)
	}
	if a.samples(unix.PERF_SAMPLE_CALLCHAIN) {
		p = e.appendCallChain(p, t, f)
	}
	if a.samples(unix.PERF_SAMPLE_RAW) {
		p = appendRaw(p, s.raw)
	}
	if a.samples(unix.PERF_SAMPLE_REGS_USER) {
		p = appendRegisters(p, f, a.Sample_regs_user)
	}
	if a.samples(unix.PERF_SAMPLE_STACK_USER) {
		p = appendStack(p, s, uint64(a.Sample_stack_user))
	}
	word(unix.PERF_SAMPLE_WEIGHT, 0)
	word(unix.PERF_SAMPLE_WEIGHT_STRUCT, 0)
	word(unix.PERF_SAMPLE_DATA_SRC, noMemoryAccess)
	word(unix.PERF_SAMPLE_TRANSACTION, 0)
	if a.samples(unix.PERF_SAMPLE_REGS_INTR) {
		p = appendRegisters(p, f, a.Sample_regs_intr)
	}
	word(unix.PERF_SAMPLE_PHYS_ADDR, 0)
	word(unix.PERF_SAMPLE_DATA_PAGE_SIZE, 0)
	word(unix.PERF_SAMPLE_CODE_PAGE_SIZE, mm.PageSize)
	return finish(p)
}

// taskIDs returns the process and the thread id as one word.
func taskIDs(t *task.Task) uint64 {
	if t == nil {
		return 0
	}
	return uint64(uint32(t.PID())) | uint64(uint32(t.TID()))<<32
}

// appendRaw appends the raw record, with its size, padded to a multiple of 8 bytes.
func appendRaw(p, raw []byte) []byte {
	size := (len(raw)+4+7)&^7 - 4
	p = put32(p, uint32(size))
	p = append(p, raw...)
	return append(p, make([]byte, size-len(raw))...)
}

// registerCount is the number of registers of arch/x86/include/uapi/asm/perf_regs.h.
const registerCount = 24

// appendRegisters appends the registers that mask selects.
func appendRegisters(p []byte, f *amd64.Frame, mask uint64) []byte {
	if f == nil {
		return put64(p, unix.PERF_SAMPLE_REGS_ABI_NONE)
	}
	abi := uint64(unix.PERF_SAMPLE_REGS_ABI_64)
	if f.Code32() {
		abi = unix.PERF_SAMPLE_REGS_ABI_32
	}
	p = put64(p, abi)
	values := [registerCount]uint64{
		f.RAX, f.RBX, f.RCX, f.RDX, f.RSI, f.RDI, f.RBP, f.RSP, f.RIP, f.ProgramFlags(), f.CS, f.SS, 0, 0, 0, 0,
		f.R8, f.R9, f.R10, f.R11, f.R12, f.R13, f.R14, f.R15,
	}
	for i, v := range values {
		if mask>>i&1 != 0 {
			p = put64(p, v)
		}
	}
	return p
}

// appendStack appends the bytes of the user's stack from RSP on: the size of the area,
// its bytes, and how many of them were read. The record stays below its maximum size.
func appendStack(p []byte, s *sample, size uint64) []byte {
	const rest = 1024 // for the fields behind the stack
	size = min(size, uint64(max(0, maxRecord-len(p)-rest))) &^ 7
	if size == 0 || s.frame == nil || s.atomic {
		return put64(p, 0)
	}
	p = put64(p, size)
	start := len(p)
	p = append(p, make([]byte, size)...)
	n, _ := s.task.CopyInSome(p[start:], s.frame.RSP)
	return put64(p, uint64(n))
}

// contextUser is PERF_CONTEXT_USER as a word.
const contextUser = ^uint64(511)

// appendCallChain appends the program's call chain: the address, and the return
// addresses of the chain of frame pointers, as far as they are in present pages (Linux:
// perf_callchain_user). It takes no page fault.
func (e *Event) appendCallChain(p []byte, t *task.Task, f *amd64.Frame) []byte {
	most := int(e.attr.Sample_max_stack)
	if most == 0 {
		most = int(e.perf.settings.PerfEventMaxStack.Get())
	}
	most = min(most, maxRecord/8) // a longer record is not written
	at := len(p)
	p = put64(p, 0)
	if e.attr.Has(unix.PerfBitExcludeCallchainUser) || t == nil || f == nil || t.MM == nil {
		return p
	}
	p = put64(put64(p, contextUser), f.RIP)
	n := uint64(2)
	var frame [16]byte // the saved frame pointer and the return address
	for pointer := f.RBP; n < uint64(most)+1; n++ {
		if pointer%8 != 0 || pointer < f.RSP || !t.MM.TryCopyIn(frame[:8], pointer) || !t.MM.TryCopyIn(frame[8:], pointer+8) {
			break
		}
		p = put64(p, binary.LittleEndian.Uint64(frame[8:]))
		next := binary.LittleEndian.Uint64(frame[:])
		if next <= pointer {
			n++
			break
		}
		pointer = next
	}
	binary.LittleEndian.PutUint64(p[at:], n)
	return p
}
