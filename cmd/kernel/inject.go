package main

import (
	"slowpath/clock"
	"slowpath/entry"
	"slowpath/signal"
	"slowpath/task"
	"slowpath/tracespec"
	"slowpath/wait"
)

// injectionCounts has the number of calls of a thread for each rule of inject=. Only the
// thread uses it.
type injectionCounts struct{ calls []uint64 }

// register adds the counts to every task. It is called before the first task is made.
func (c *callStream) register(k *task.Kernel) {
	if c != nil && len(c.plan.Injections) > 0 {
		c.counts = task.NewSlot[injectionCounts](k)
	}
}

// dispatch replaces the handlers of the calls that the rules of inject= name. The duties of
// the entry and of the exit see an injected call as any other.
func (c *callStream) dispatch(calls entry.Dispatch[*task.Task]) entry.Dispatch[*task.Task] {
	if c == nil {
		return calls
	}
	for number, list := range c.rulesFrom(0) {
		calls[number] = c.injected(calls[number], list)
	}
	return calls
}

// dispatch32 is dispatch for the calls of the ABI I386.
func (c *callStream) dispatch32(calls *entry.Dispatch32[*task.Task]) *entry.Dispatch32[*task.Task] {
	if c == nil {
		return calls
	}
	for number, list := range c.rulesFrom(tracespec.FirstI386) {
		if one := &calls[number]; one.Handler != nil {
			one.Handler = c.injected(one.Handler, list)
		}
	}
	return calls
}

// rulesFrom returns the rules of each call of an ABI by its number. first is added to the
// numbers of the ABI.
func (c *callStream) rulesFrom(first int) map[int][]int {
	rules := map[int][]int{}
	for i := range c.plan.Injections {
		for _, number := range c.plan.Injections[i].Numbers {
			if number >= first && number < first+entry.Calls {
				rules[number-first] = append(rules[number-first], i)
			}
		}
	}
	return rules
}

// injected returns the handler of a call that rules may change.
func (c *callStream) injected(handler entry.Handler[*task.Task], rules []int) entry.Handler[*task.Task] {
	return func(t *task.Task, a *entry.Args) (uint64, error) {
		rule := c.rule(t, rules)
		if rule == nil {
			return handler(t, a)
		}
		if rule.DelayEnter > 0 || rule.DelayExit > 0 {
			c.note(t, tracespec.InjectedDelay)
		}
		pause(t, rule.DelayEnter)
		defer pause(t, rule.DelayExit)
		if rule.Signal != 0 {
			t.Signal(signal.UserInfo(signal.Signal(rule.Signal), signal.SI_USER, 0, 0))
		}
		if !rule.Replace {
			return handler(t, a)
		}
		c.note(t, tracespec.InjectedResult)
		return uint64(rule.Result), nil
	}
}

// rule counts a call and returns the rule that applies to it, or nil.
func (c *callStream) rule(t *task.Task, rules []int) (found *tracespec.Injection) {
	if c.stream == nil || !c.wants(t) {
		return nil
	}
	counts := c.counts.Of(t)
	if counts.calls == nil {
		counts.calls = make([]uint64, len(c.plan.Injections))
	}
	for _, i := range rules {
		counts.calls[i]++
		if rule := &c.plan.Injections[i]; found == nil && rule.Applies(counts.calls[i]) {
			found = rule
		}
	}
	return found
}

// note tells the host that the current call of a task is changed.
func (c *callStream) note(t *task.Task, what int64) {
	c.stream.Put(t, &tracespec.Record{Kind: tracespec.Injected, Thread: uint32(t.TID()), Result: what})
}

// pause lets a task sleep for some nanoseconds, or until it is killed.
func pause(t *task.Task, nanoseconds uint64) {
	if nanoseconds == 0 {
		return
	}
	var never wait.Queue
	t.BlockKillable(&never, 0, clock.Monotonic()+int64(nanoseconds), func() bool { return false })
}
