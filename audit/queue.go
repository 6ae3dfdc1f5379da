package audit

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/fs/netlink"
	"slowpath/guard"
	"slowpath/task"
	"slowpath/wait"
)

// queue has the records that were not delivered yet.
type queue struct {
	// space is woken when the queue was emptied.
	space wait.Queue

	mu      sync.Mutex
	waiting []*record // audit_queue
	retry   []*record // the daemon had no room for them
	hold    []*record // they wait for a daemon
	running bool      // the goroutine of drain exists
}

func (q *queue) length() int { return q.count(&q.waiting) }

// start makes sure that a goroutine delivers the records (Linux: wakes kauditd). It ends
// when there are none.
func (q *queue) start(a *Audit) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.running {
		q.running = true
		go a.drain()
	}
}

// drain delivers records until there are none (Linux: kauditd_thread).
func (a *Audit) drain() {
	q := &a.queue
	finished := false
	defer func() {
		if !finished { // a panic
			guard.With(&q.mu, func() { q.running = false })
		}
	}()
	defer guard.Contain("the delivery of audit records")
	for {
		a.deliver()
		q.space.Wake(wait.All)
		if finished = q.stop(); finished {
			return
		}
	}
}

// stop ends the goroutine if no record waits, and reports whether it does.
func (q *queue) stop() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running = len(q.waiting) > 0
	return !q.running
}

// unicastTries is how often a record is sent to a daemon that has no room.
const unicastTries = 5

// deliver empties the queues once. Without a daemon, records go to the log.
func (a *Audit) deliver() {
	q := &a.queue
	d := a.daemon.Load()
	if d != nil && a.sendAll(d, &q.hold, unicastTries, nil, a.holdAgain) == nil &&
		a.sendAll(d, &q.retry, unicastTries, nil, a.holdRecord) == nil {
		if a.sendAll(d, &q.waiting, 1, a.multicast, func(r *record, _ error) { a.retryRecord(r) }) != nil {
			a.resetDaemon(d)
		}
		return
	}
	if d != nil {
		a.resetDaemon(d)
	}
	a.sendAll(nil, &q.waiting, 1, a.multicast, a.holdRecord)
}

// sendAll sends the records that are in the list now to the daemon (Linux:
// kauditd_send_queue). each is called for every record, failed for those that were not
// sent. After one failure no more are sent. The error is set if the daemon has gone.
func (a *Audit) sendAll(d *daemon, list *[]*record, tries int, each func(r *record), failed func(r *record, err error)) (gone error) {
	failures := 0
	for n := a.queue.count(list); n > 0; n-- {
		r := a.queue.take(list)
		if r == nil {
			break
		}
		if each != nil {
			each(r)
		}
		if d == nil {
			failed(r, unix.ECONNREFUSED)
			continue
		}
		err := a.unicast(d, r)
		for err == unix.EAGAIN {
			if failures++; failures >= tries {
				break
			}
			err = a.unicast(d, r)
		}
		if err == nil {
			failures = 0
			continue
		}
		d = nil
		failed(r, err)
		if err != unix.EAGAIN {
			gone = err
		}
	}
	return gone
}

func (q *queue) count(list *[]*record) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(*list)
}

func (q *queue) take(list *[]*record) *record {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(*list) == 0 {
		return nil
	}
	r := (*list)[0]
	(*list)[0] = nil
	*list = (*list)[1:]
	return r
}

// put appends a record to a list that has room for it. The limit 0 is none.
func (q *queue) put(list *[]*record, r *record, limit uint32) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if limit != 0 && len(*list) >= int(limit) {
		return false
	}
	*list = append(*list, r)
	return true
}

// sendPatience is how long the kernel waits for room in the socket of the daemon.
const sendPatience = 100 * time.Millisecond

// unicast sends a record to the daemon. The length in its header is that of the text, on
// which the daemon relies (Linux: audit_log_end). Errors: ECONNREFUSED, EAGAIN, ENOBUFS.
func (a *Audit) unicast(d *daemon, r *record) error {
	return a.family.Unicast(d.port, netlink.EncodeLength(uint32(len(r.text)), r.kind, 0, 0, r.text), sendPatience)
}

// multicast sends a record to the readers of the multicast group.
func (a *Audit) multicast(r *record) {
	if a.family.HasListeners(unix.AUDIT_NLGRP_READLOG) {
		a.family.Multicast(unix.AUDIT_NLGRP_READLOG, netlink.Encode(r.kind, 0, 0, r.text))
	}
}

// holdAgain keeps a record that waits for a daemon (Linux: kauditd_rehold_skb).
func (a *Audit) holdAgain(r *record, _ error) { a.queue.put(&a.queue.hold, r, 0) }

// holdRecord logs a record that could not be sent, and keeps it for a daemon if the kernel
// was started with audit=1 (Linux: kauditd_hold_skb).
func (a *Audit) holdRecord(r *record, err error) {
	a.printRecord(r)
	if a.config.Boot != BootOn {
		return
	}
	limit := a.status.backlogLimit.Load()
	if err == unix.EAGAIN {
		if !a.queue.put(&a.queue.retry, r, limit) {
			a.lose("kauditd retry queue overflow")
		}
		return
	}
	if !a.queue.put(&a.queue.hold, r, limit) {
		a.lose("kauditd hold queue overflow")
	}
}

// retryRecord keeps a record for which the daemon had no room (Linux: kauditd_retry_skb).
func (a *Audit) retryRecord(r *record) {
	if !a.queue.put(&a.queue.retry, r, a.status.backlogLimit.Load()) {
		a.printRecord(r)
		a.lose("kauditd retry queue overflow")
	}
}

// printRecord writes a record to the kernel's log.
func (a *Audit) printRecord(r *record) {
	if r.kind != unix.AUDIT_EOE && a.print.allow(a.kernel) {
		a.kernel.Logf("audit: %v", r)
	}
}

// resetDaemon ends the registration of d, or of any daemon if d is nil (Linux:
// auditd_reset). What waited for it to have room is logged.
func (a *Audit) resetDaemon(d *daemon) {
	if d == nil {
		a.daemon.Store(nil)
	} else if !a.daemon.CompareAndSwap(d, nil) {
		return // another one has registered itself
	}
	a.watchSignals()
	for r := a.queue.take(&a.queue.retry); r != nil; r = a.queue.take(&a.queue.retry) {
		a.holdRecord(r, unix.ECONNREFUSED)
	}
}

// lose counts a lost record, and says so as the failure mode asks (Linux: audit_log_lost).
func (a *Audit) lose(why string) {
	lost := a.status.lost.Add(1)
	failure, limit := a.status.failure.Load(), a.status.rateLimit.Load()
	if failure != unix.AUDIT_FAIL_PANIC && limit != 0 && !a.rate.reportLoss() {
		return
	}
	if a.print.allow(a.kernel) {
		a.kernel.Logf("audit: audit_lost=%d audit_rate_limit=%d audit_backlog_limit=%d", lost, limit, a.status.backlogLimit.Load())
	}
	a.fail(why, failure)
}

// fail is audit_panic.
func (a *Audit) fail(why string, failure uint32) {
	switch {
	case failure == unix.AUDIT_FAIL_PANIC && a.config.Panic != nil:
		a.config.Panic("audit: " + why)
	case failure != unix.AUDIT_FAIL_SILENT && a.print.allow(a.kernel):
		a.kernel.Logf("audit: %s", why)
	}
}

// rateLimit counts the records of the current second.
type rateLimit struct {
	mu       sync.Mutex
	begin    int64 // of the second, clock.Monotonic
	messages uint32
	reported int64 // when a loss was reported last
}

// allow reports whether one more record is below the limit, in records a second; 0 is no
// limit (Linux: audit_rate_check).
func (l *rateLimit) allow(limit uint32) bool {
	if limit == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.messages++; l.messages < limit {
		return true
	}
	if now := clock.Monotonic(); now > l.begin+clock.Second {
		l.begin, l.messages = now, 0
		return true
	}
	return false
}

// reportLoss reports whether no loss was reported in the last second.
func (l *rateLimit) reportLoss() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := clock.Monotonic()
	if now <= l.reported+clock.Second {
		return false
	}
	l.reported = now
	return true
}

// Limits of the messages in the log: kernel.printk_ratelimit and printk_ratelimit_burst.
const (
	printInterval = 5 * clock.Second
	printBurst    = 10
)

// printLimit limits the lines in the kernel's log (Linux: printk_ratelimit).
type printLimit struct {
	mu      sync.Mutex
	begin   int64
	printed int
	missed  int
}

// allow reports whether one more line may be logged now. If lines were suppressed before,
// it logs their number.
func (l *printLimit) allow(k *task.Kernel) bool {
	missed, ok := l.take(clock.Monotonic())
	if missed > 0 {
		k.Logf("kauditd_printk_skb: %d callbacks suppressed", missed)
	}
	return ok
}

func (l *printLimit) take(now int64) (missed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begin == 0 || now > l.begin+printInterval {
		missed, l.missed, l.printed, l.begin = l.missed, 0, 0, max(now, 1)
	}
	if l.printed >= printBurst {
		l.missed++
		return missed, false
	}
	l.printed++
	return missed, true
}
