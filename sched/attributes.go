package sched

import (
	"math"
	"sync/atomic"
)

// Policy is a scheduling policy (sched(7)), with the number of sched_setscheduler(2).
type Policy int32

// The policies.
const (
	Other Policy = 0 // SCHED_OTHER
	FIFO  Policy = 1 // SCHED_FIFO
	RR    Policy = 2 // SCHED_RR
	Batch Policy = 3 // SCHED_BATCH
	Idle  Policy = 5 // SCHED_IDLE
	// Deadline is SCHED_DEADLINE. Scheduler.Reserve sets it, with its parameters.
	Deadline Policy = 6
)

// Realtime reports whether the policy is SCHED_FIFO or SCHED_RR.
func (p Policy) Realtime() bool { return p == FIFO || p == RR }

// AboveFair reports whether tasks of the policy run before those of the fair class: it is
// SCHED_FIFO, SCHED_RR or SCHED_DEADLINE.
func (p Policy) AboveFair() bool { return p.Realtime() || p == Deadline }

// Attributes are what sched_setscheduler(2), setpriority(2) and sched_setaffinity(2) set.
type Attributes struct {
	Policy Policy
	// Priority is the real-time priority: 1 to 99 for FIFO and RR, else 0.
	Priority int32
	// Nice is the nice value, -20 to 19, of the other policies.
	Nice int32
}

// attributes are the attributes of an entity, with what is derived from them.
type attributes struct {
	// Attributes are those with which the entity runs: normal, or more urgent ones if it inherits.
	Attributes
	normal    Attributes // what was set
	inherited urgency    // of the most urgent task that waits for a lock of the entity, or 0
	allowed   uint64     // the CPUs, one bit each; 0 for all
	weight    int64      // of the fair class
	// realtime is set for the policies above the fair class: SCHED_FIFO, SCHED_RR and
	// SCHED_DEADLINE.
	realtime bool
	// published has the attributes for readers without the lock: policy, priority and nice value
	// of normal, and the effective urgency, in a byte each.
	published atomic.Uint32
}

// set changes the attributes. The scheduler's lock is held.
func (a *attributes) set(to Attributes) {
	a.normal = to
	a.apply()
}

// apply derives the other fields from normal and inherited. The scheduler's lock is held.
func (a *attributes) apply() {
	n := a.normal
	a.Attributes, a.weight = n.boosted(a.inherited), n.weightOf()
	a.realtime = a.Policy.AboveFair()
	effective := max(a.inherited, n.urgency())
	a.published.Store(uint32(uint8(n.Policy)) | uint32(uint8(n.Priority))<<8 | uint32(uint8(n.Nice))<<16 | uint32(effective)<<24)
}

// effective returns the urgency with which the entity runs. Any context.
func (a *attributes) effective() urgency {
	if u := urgency(a.published.Load() >> 24); u > 0 {
		return u
	}
	return Attributes{}.urgency() // set was not called yet
}

// Current returns the attributes that were set. Any context.
func (a *attributes) Current() Attributes {
	p := a.published.Load()
	return Attributes{Policy: Policy(uint8(p)), Priority: int32(uint8(p >> 8)), Nice: int32(int8(p >> 16))}
}

// afterReset returns the attributes that a child has if its parent has a
// (SCHED_RESET_ON_FORK, sched(7)).
func (a Attributes) afterReset() Attributes {
	if a.Policy.AboveFair() {
		return Attributes{}
	}
	return Attributes{Policy: a.Policy, Nice: max(a.Nice, 0)}
}

// MaxPriority is the greatest real-time priority (sched(7)).
const MaxPriority = 99

// weightOfNice0 is the weight of a task with the nice value 0.
const weightOfNice0 = 1024

// weights has the weight of each nice value from -20: a step changes the share of two tasks
// from 50:50 to 55:45 (Linux: sched_prio_to_weight).
var weights = func() (w [40]int64) {
	for i := range w {
		w[i] = int64(math.Round(weightOfNice0 * math.Pow(1.25, float64(20-i))))
	}
	return w
}()

// weightOfIdle is the weight of SCHED_IDLE (Linux: WEIGHT_IDLEPRIO).
const weightOfIdle = 3

// weightOf returns the weight of the attributes in the fair class.
func (a Attributes) weightOf() int64 {
	if a.Policy == Idle {
		return weightOfIdle
	}
	return weights[a.Nice+20]
}

// mayRunOn reports whether the affinity allows a CPU.
func (a *attributes) mayRunOn(cpu int) bool { return a.allowed == 0 || a.allowed>>uint(cpu)&1 != 0 }

// weighted converts a run time to virtual time.
func (a *attributes) weighted(time int64) int64 {
	if a.weight == weightOfNice0 {
		return time
	}
	return time * weightOfNice0 / a.weight
}
