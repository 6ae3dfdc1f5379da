package perf

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/task"
)

func TestClockPeriodIsBounded(t *testing.T) {
	for _, c := range []struct {
		sample, bits uint64
		want         int64
	}{
		{4000, unix.PerfBitFreq, 250_000},
		{1_000_000, 0, 1_000_000},
		{1, 0, leastPeriod},
		{1_000_000_000, unix.PerfBitFreq, leastPeriod},
	} {
		a := Attributes{unix.PerfEventAttr{Sample: c.sample, Bits: c.bits}}
		if got := a.clockPeriod(); got != c.want {
			t.Errorf("sample %d with bits %#x gives a period of %d ns, want %d", c.sample, c.bits, got, c.want)
		}
	}
}

func TestTimerObeysTheShortestSamplingInterval(t *testing.T) {
	s := software{intervals: map[*Event]int64{}}
	if got := s.shortest(); got != 0 {
		t.Errorf("without events the interval is %d", got)
	}
	a, b := new(Event), new(Event)
	s.intervals[a], s.intervals[b] = 300_000, 200_000
	if got := s.shortest(); got != 200_000 {
		t.Errorf("the interval is %d, want 200000", got)
	}
}

// TestSampleOfAnIdleCPUHasNoProgram builds a sample with every field for a trace event that
// no task has caused.
func TestSampleOfAnIdleCPUHasNoProgram(t *testing.T) {
	const all = unix.PERF_SAMPLE_IP | unix.PERF_SAMPLE_TID | unix.PERF_SAMPLE_CALLCHAIN | unix.PERF_SAMPLE_REGS_USER |
		unix.PERF_SAMPLE_STACK_USER | unix.PERF_SAMPLE_RAW | unix.PERF_SAMPLE_CPU
	e := &Event{perf: &Perf{cpu: func() int { return 3 }}, attr: &Attributes{unix.PerfEventAttr{
		Sample_type: all, Sample_regs_user: 0xff, Sample_stack_user: 64, Sample_max_stack: 10,
	}}}
	got := e.appendSample(nil, &sample{raw: make([]byte, 12)}, 1)
	want := begin(nil, unix.PERF_RECORD_SAMPLE, miscUser)
	for _, v := range []uint64{0, 0, 3, 0} { // address, ids, CPU, an empty call chain
		want = put64(want, v)
	}
	want = appendRaw(want, make([]byte, 12))
	want = put64(put64(want, unix.PERF_SAMPLE_REGS_ABI_NONE), 0)
	if want = finish(want); string(got) != string(want) {
		t.Errorf("the sample is % x, want % x", got, want)
	}
}

// TestTimeOnAnotherCPUIsNotSampledAgain: a task has an event for each CPU, and its time
// belongs to the one of the CPU on which it was used.
func TestTimeOnAnotherCPUIsNotSampledAgain(t *testing.T) {
	const ms = 1_000_000
	own := new(task.Task)
	here, there := &Event{tasks: map[*task.Task]int64{own: 0}}, &Event{tasks: map[*task.Task]int64{own: 0}}
	if got := here.periodsOf(own, 10*ms, 10*ms, 2*ms); got != 5 {
		t.Errorf("10 ms are %d periods of 2 ms, want 5", got)
	}
	if got := there.periodsOf(own, 13*ms, 3*ms, 2*ms); got != 1 {
		t.Errorf("3 ms on another CPU are %d periods of 2 ms, want 1", got)
	}
	if got := there.periodsOf(own, 14*ms, 1*ms, 2*ms); got != 1 {
		t.Errorf("the rest of 1 ms and 1 ms more are %d periods of 2 ms, want 1", got)
	}
	late := &Event{tasks: map[*task.Task]int64{own: 19 * ms}}
	if got := late.periodsOf(own, 20*ms, 6*ms, 1*ms); got != 1 {
		t.Errorf("1 ms after the event was enabled are %d periods of 1 ms, want 1", got)
	}
}

func TestExcludedSideIsNotCounted(t *testing.T) {
	for kind, inKernel := range map[int]bool{
		unix.PERF_COUNT_SW_CONTEXT_SWITCHES: true, unix.PERF_COUNT_SW_CPU_MIGRATIONS: true, unix.PERF_COUNT_SW_PAGE_FAULTS: false,
	} {
		k := &softwareKinds[kind]
		if got := k.counted(&Attributes{unix.PerfEventAttr{Bits: unix.PerfBitExcludeKernel}}); got == inKernel {
			t.Errorf("kind %d with exclude_kernel is counted: %v", kind, got)
		}
		if got := k.counted(&Attributes{unix.PerfEventAttr{Bits: unix.PerfBitExcludeUser}}); got != inKernel {
			t.Errorf("kind %d with exclude_user is counted: %v", kind, got)
		}
		if !k.counted(new(Attributes)) {
			t.Errorf("kind %d is not counted", kind)
		}
	}
}

// TestSampleOfAnotherThreadLeavesItsBuffer: the thread may build a record on another CPU.
func TestSampleOfAnotherThreadLeavesItsBuffer(t *testing.T) {
	own := new(task.Task)
	if s := (sample{task: own, foreign: true}); s.builder() != nil {
		t.Error("a sample is built in the buffer of a thread that runs elsewhere")
	}
	if s := (sample{task: own}); s.builder() != own {
		t.Error("a sample of the caller's own thread is not built in its buffer")
	}
}
