package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/sched"
	"slowpath/task"
)

// schedulingCalls read and set scheduling attributes (sched(7)).
var schedulingCalls = []Row{
	{Number: unix.SYS_SCHED_YIELD, Name: "sched_yield", Handler: sysSchedYield},
	{Number: unix.SYS_SCHED_SETAFFINITY, Name: "sched_setaffinity", Arguments: args(PID, Uint, Pointer), Handler: sysSchedSetaffinity},
	{Number: unix.SYS_SCHED_GETAFFINITY, Name: "sched_getaffinity", Arguments: args(PID, Uint, Pointer), Handler: sysSchedGetaffinity},
	{Number: unix.SYS_SCHED_SETSCHEDULER, Name: "sched_setscheduler", Arguments: args(PID, Int, Pointer), Handler: sysSchedSetscheduler},
	{Number: unix.SYS_SCHED_GETSCHEDULER, Name: "sched_getscheduler", Arguments: args(PID), Handler: sysSchedGetscheduler},
	{Number: unix.SYS_SCHED_SETPARAM, Name: "sched_setparam", Arguments: args(PID, Pointer), Handler: sysSchedSetparam},
	{Number: unix.SYS_SCHED_GETPARAM, Name: "sched_getparam", Arguments: args(PID, Pointer), Handler: sysSchedGetparam},
	{Number: unix.SYS_SCHED_GET_PRIORITY_MAX, Name: "sched_get_priority_max", Arguments: args(Int), Handler: sysSchedGetPriorityMax},
	{Number: unix.SYS_SCHED_GET_PRIORITY_MIN, Name: "sched_get_priority_min", Arguments: args(Int), Handler: sysSchedGetPriorityMin},
	{Number: unix.SYS_SCHED_RR_GET_INTERVAL, Name: "sched_rr_get_interval", Arguments: args(PID, Pointer), Handler: sysSchedRRGetInterval},
	{Number: unix.SYS_SCHED_SETATTR, Name: "sched_setattr", Arguments: args(PID, Pointer, Hex), Handler: sysSchedSetattr,
		Partial: "A SCHED_DEADLINE task with SCHED_FLAG_RECLAIM gets none of the time that others leave."},
	{Number: unix.SYS_SCHED_GETATTR, Name: "sched_getattr", Arguments: args(PID, Pointer, Uint, Hex), Handler: sysSchedGetattr},
	{Number: unix.SYS_GETCPU, Name: "getcpu", Arguments: args(Pointer, Pointer), Handler: sysGetcpu},
	{Number: unix.SYS_GETPRIORITY, Name: "getpriority", Arguments: args(Int, PID), Handler: sysGetpriority},
	{Number: unix.SYS_SETPRIORITY, Name: "setpriority", Arguments: args(Int, PID, Int), Handler: sysSetpriority},
	{Number: unix.SYS_MEMBARRIER, Name: "membarrier", Arguments: args(Int, Hex, Int), Handler: sysMembarrier,
		Partial: "The commands about restartable sequences fail with EINVAL."},
	{Number: unix.SYS_RSEQ, Name: "rseq", Arguments: args(Pointer, Uint, Hex, Hex), Handler: sysRseq},
}

func sysSchedYield(t *task.Task, a *amd64.Args) (uint64, error) {
	t.Yield()
	return 0, nil
}

// schedulingTarget returns the thread that the pid argument of a scheduling
// call names. Errors: EINVAL, ESRCH.
func schedulingTarget(t *task.Task, pid int32) (*task.Task, error) {
	switch {
	case pid < 0:
		return nil, unix.EINVAL
	case pid == 0:
		return t, nil
	}
	if target := t.Kernel().TaskByID(int(pid)); target != nil {
		return target, nil
	}
	return nil, unix.ESRCH
}

// mayChangeScheduling reports whether t may change target's scheduling
// attributes.
func mayChangeScheduling(t, target *task.Task) bool {
	own, other := t.Credentials(), target.Credentials()
	return own.Has(cred.SysNice) || sameOwner(own, other) && !hasMore(other, own)
}

// sameOwner reports whether other belongs to the user of own (Linux: check_same_owner).
func sameOwner(own, other *cred.Credentials) bool {
	return own.EUID == other.EUID || own.EUID == other.UID
}

// hasMore reports whether a has capabilities that b lacks. Without CAP_SYS_NICE, a task
// does not change the scheduling of a task with more capabilities (Linux: cap_safe_nice).
func hasMore(a, b *cred.Credentials) bool { return a.Permitted&^b.Permitted != 0 }

// cpuMaskSize is the size of the kernel's CPU mask in bytes.
const cpuMaskSize = 8

func sysSchedSetaffinity(t *task.Task, a *amd64.Args) (uint64, error) {
	var mask uint64
	if err := t.CopyIn(a[2], abi.Bytes(&mask)[:min(uint64(uint32(a[1])), cpuMaskSize)]); err != nil {
		return 0, err
	}
	target, err := schedulingTarget(t, int32(a[0]))
	if err != nil {
		return 0, unix.ESRCH
	}
	if !mayChangeScheduling(t, target) {
		return 0, unix.EPERM
	}
	return 0, t.Confine(target, mask)
}

func sysSchedGetaffinity(t *task.Task, a *amd64.Args) (uint64, error) {
	size := uint64(uint32(a[1]))
	if size*8 < uint64(t.Kernel().CPUs()) || size%longSize(t) != 0 {
		return 0, unix.EINVAL
	}
	target, err := schedulingTarget(t, int32(a[0]))
	if err != nil {
		return 0, unix.ESRCH
	}
	mask, size := target.Affinity(), min(size, cpuMaskSize)
	return size, t.CopyOut(a[2], abi.Bytes(&mask)[:size])
}

// Scheduling policies, their flag and limits (sched(7)).
const (
	policyOther    = int32(sched.Other)
	policyFIFO     = int32(sched.FIFO)
	policyRR       = int32(sched.RR)
	policyBatch    = int32(sched.Batch)
	policyIdle     = int32(sched.Idle)
	policyDeadline = int32(sched.Deadline)
	resetOnFork    = 0x40000000
	maxRealtime    = sched.MaxPriority
)

// currentPolicy, as the policy of a request, leaves the policy and SCHED_RESET_ON_FORK as they
// are (SETPARAM_POLICY in Linux).
const currentPolicy = ^uint32(0)

// setPolicy is the common part of sched_setscheduler(2) and sched_setparam(2).
func setPolicy(t *task.Task, pid int32, policy uint32, address uint64) error {
	if pid < 0 || address == 0 {
		return unix.EINVAL
	}
	priority, err := t.LoadUint32(address)
	if err != nil {
		return err
	}
	target, err := schedulingTarget(t, pid)
	if err != nil {
		return err
	}
	request := unix.SchedAttr{Policy: policy, Priority: priority, Nice: target.Attributes().Nice}
	if policy != currentPolicy && policy&resetOnFork != 0 {
		request.Policy &^= resetOnFork
		request.Flags = unix.SCHED_FLAG_RESET_ON_FORK
	}
	return setScheduling(t, target, request)
}

func sysSchedSetscheduler(t *task.Task, a *amd64.Args) (uint64, error) {
	if int32(a[1]) < 0 {
		return 0, unix.EINVAL
	}
	return 0, setPolicy(t, int32(a[0]), uint32(a[1]), a[2])
}

func sysSchedSetparam(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, setPolicy(t, int32(a[0]), currentPolicy, a[1])
}

func sysSchedGetscheduler(t *task.Task, a *amd64.Args) (uint64, error) {
	target, err := schedulingTarget(t, int32(a[0]))
	if err != nil {
		return 0, err
	}
	policy := uint64(int32(target.Attributes().Policy))
	if target.Scheduling.Reset.Load() {
		policy |= resetOnFork
	}
	return policy, nil
}

func sysSchedGetparam(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[1] == 0 {
		return 0, unix.EINVAL
	}
	target, err := schedulingTarget(t, int32(a[0]))
	if err != nil {
		return 0, err
	}
	return 0, abi.CopyOut(t, a[1], target.Attributes().Priority)
}

func sysSchedGetPriorityMax(t *task.Task, a *amd64.Args) (uint64, error) {
	switch int32(a[0]) {
	case policyFIFO, policyRR:
		return maxRealtime, nil
	case policyOther, policyBatch, policyIdle, policyDeadline:
		return 0, nil
	}
	return 0, unix.EINVAL
}

func sysSchedGetPriorityMin(t *task.Task, a *amd64.Args) (uint64, error) {
	highest, err := sysSchedGetPriorityMax(t, a)
	return min(highest, 1), err
}

func sysSchedRRGetInterval(t *task.Task, a *amd64.Args) (uint64, error) {
	target, err := schedulingTarget(t, int32(a[0]))
	if err != nil {
		return 0, err
	}
	return 0, storeTimespec(t, a[1], t.Kernel().Scheduler().Interval(target.Entity()))
}

func sysGetcpu(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[0] != 0 {
		if err := abi.CopyOut(t, a[0], uint32(t.Frame.LastCPU())); err != nil {
			return 0, err
		}
	}
	if a[1] != 0 {
		return 0, abi.CopyOut(t, a[1], uint32(0)) // the only NUMA node
	}
	return 0, nil
}

// Values of the which argument of getpriority(2), and the range of nice values.
const (
	priorityProcess = 0
	priorityGroup   = 1
	priorityUser    = 2

	lowestNice  = 19
	highestNice = -20
)

// priorityTargets returns the threads that which and who select. Errors:
// EINVAL, ESRCH.
func priorityTargets(t *task.Task, which, who int32) ([]*task.Task, error) {
	var targets []*task.Task
	switch which {
	case priorityProcess:
		target, err := schedulingTarget(t, max(who, -1))
		if err != nil {
			return nil, unix.ESRCH
		}
		targets = append(targets, target)
	case priorityGroup:
		id := int(who)
		if id == 0 {
			id = t.Group().ProcessGroupID()
		}
		for _, g := range t.Kernel().Groups() {
			if g.ProcessGroupID() == id {
				targets = append(targets, g.Threads()...)
			}
		}
	case priorityUser:
		uid := uint32(who)
		if uid == 0 {
			uid = t.Credentials().UID
		}
		for _, g := range t.Kernel().Groups() {
			for _, thread := range g.Threads() {
				if thread.Credentials().UID == uid {
					targets = append(targets, thread)
				}
			}
		}
	default:
		return nil, unix.EINVAL
	}
	if len(targets) == 0 {
		return nil, unix.ESRCH
	}
	return targets, nil
}

func sysGetpriority(t *task.Task, a *amd64.Args) (uint64, error) {
	targets, err := priorityTargets(t, int32(a[0]), int32(a[1]))
	if err != nil {
		return 0, err
	}
	nice := int32(lowestNice)
	for _, target := range targets {
		nice = min(nice, target.Attributes().Nice)
	}
	return uint64(lowestNice + 1 - nice), nil // 1 to 40, because a negative result would be an error
}

func sysSetpriority(t *task.Task, a *amd64.Args) (uint64, error) {
	targets, err := priorityTargets(t, int32(a[0]), int32(a[1]))
	if err != nil {
		return 0, err
	}
	nice := min(max(int32(a[2]), highestNice), lowestNice)
	for _, target := range targets {
		if e := renice(t, target, nice); e != nil {
			err = e
		}
	}
	return 0, err
}

// renice sets the nice value of target for t. Errors: EPERM if target belongs to another
// user or has more capabilities, EACCES if RLIMIT_NICE forbids the value.
func renice(t, target *task.Task, nice int32) error {
	own, other := t.Credentials(), target.Credentials()
	if !own.Has(cred.SysNice) {
		switch {
		case !sameOwner(own, other):
			return unix.EPERM
		case !mayRenice(t, target, nice):
			return unix.EACCES
		case hasMore(other, own):
			return unix.EPERM
		}
	}
	target.Renice(nice)
	return nil
}

// mayRenice reports whether t may give target the nice value (RLIMIT_NICE).
func mayRenice(t, target *task.Task, nice int32) bool {
	return nice >= target.Attributes().Nice || t.Credentials().Has(cred.SysNice) || niceWithinLimit(target, nice)
}

// niceWithinLimit reports whether RLIMIT_NICE of target permits the nice value.
func niceWithinLimit(target *task.Task, nice int32) bool {
	return uint64(lowestNice+1-nice) <= target.Group().Limits.Soft(unix.RLIMIT_NICE)
}

// The commands of membarrier(2).
const (
	barrierQuery            = 0
	barrierGlobal           = 1 << 0
	barrierGlobalExpedited  = 1 << 1
	barrierRegisterGlobal   = 1 << 2
	barrierPrivate          = 1 << 3
	barrierRegisterPrivate  = 1 << 4
	barrierSyncCore         = 1 << 5
	barrierRegisterSyncCore = 1 << 6
	barrierSupported        = barrierGlobal | barrierGlobalExpedited | barrierRegisterGlobal |
		barrierPrivate | barrierRegisterPrivate | barrierSyncCore | barrierRegisterSyncCore
)

func sysMembarrier(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[1] != 0 {
		return 0, unix.EINVAL
	}
	command := uint32(a[0])
	switch command {
	case barrierQuery:
		return barrierSupported, nil
	case barrierRegisterGlobal, barrierRegisterPrivate, barrierRegisterSyncCore:
		t.RegisterBarrier(command)
		return 0, nil
	case barrierPrivate, barrierSyncCore:
		if !t.BarrierRegistered(command << 1) {
			return 0, unix.EPERM
		}
		amd64.Barrier(t.MM.Root())
		return 0, nil
	case barrierGlobal, barrierGlobalExpedited:
		amd64.BarrierAll()
		return 0, nil
	}
	return 0, unix.EINVAL
}

func sysRseq(t *task.Task, a *amd64.Args) (uint64, error) {
	r := task.RSeq{Address: a[0], Length: uint32(a[1]), Signature: uint32(a[3])}
	return 0, t.RegisterRSeq(r, int(int32(a[2])))
}
