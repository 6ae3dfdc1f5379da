package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/task"
)

// schedulingCalls read and set scheduling attributes. The Go runtime schedules
// all tasks alike: policies, priorities and nice values are kept and given
// back, without effect, and the rows say so.
var schedulingCalls = []Row{
	{Number: unix.SYS_SCHED_YIELD, Name: "sched_yield", Handler: sysSchedYield},
	{Number: unix.SYS_SCHED_SETAFFINITY, Name: "sched_setaffinity", Arguments: args(PID, Uint, Pointer), Handler: sysSchedSetaffinity},
	{Number: unix.SYS_SCHED_GETAFFINITY, Name: "sched_getaffinity", Arguments: args(PID, Uint, Pointer), Handler: sysSchedGetaffinity},
	{Number: unix.SYS_SCHED_SETSCHEDULER, Name: "sched_setscheduler", Arguments: args(PID, Int, Pointer), Handler: sysSchedSetscheduler, Partial: policyPartial},
	{Number: unix.SYS_SCHED_GETSCHEDULER, Name: "sched_getscheduler", Arguments: args(PID), Handler: sysSchedGetscheduler},
	{Number: unix.SYS_SCHED_SETPARAM, Name: "sched_setparam", Arguments: args(PID, Pointer), Handler: sysSchedSetparam, Partial: policyPartial},
	{Number: unix.SYS_SCHED_GETPARAM, Name: "sched_getparam", Arguments: args(PID, Pointer), Handler: sysSchedGetparam},
	{Number: unix.SYS_SCHED_GET_PRIORITY_MAX, Name: "sched_get_priority_max", Arguments: args(Int), Handler: sysSchedGetPriorityMax},
	{Number: unix.SYS_SCHED_GET_PRIORITY_MIN, Name: "sched_get_priority_min", Arguments: args(Int), Handler: sysSchedGetPriorityMin},
	{Number: unix.SYS_SCHED_RR_GET_INTERVAL, Name: "sched_rr_get_interval", Arguments: args(PID, Pointer), Handler: sysSchedRRGetInterval},
	{Number: unix.SYS_GETCPU, Name: "getcpu", Arguments: args(Pointer, Pointer), Handler: sysGetcpu},
	{Number: unix.SYS_GETPRIORITY, Name: "getpriority", Arguments: args(Int, PID), Handler: sysGetpriority},
	{Number: unix.SYS_SETPRIORITY, Name: "setpriority", Arguments: args(Int, PID, Int), Handler: sysSetpriority, Partial: policyPartial},
	{Number: unix.SYS_MEMBARRIER, Name: "membarrier", Arguments: args(Int, Hex, Int), Handler: sysMembarrier,
		Partial: "The commands about restartable sequences fail with EINVAL."},
	{Number: unix.SYS_RSEQ, Name: "rseq", Arguments: args(Pointer, Uint, Hex, Hex), Handler: sysRseq},
}

const policyPartial = "The value is kept and given back, but the Go runtime schedules all tasks alike."

func sysSchedYield(t *task.Task, a *amd64.Args) (uint64, error) {
	if t.Frame.Pinned() {
		t.Kernel().Scheduler().YieldPinned()
		return 0, nil
	}
	t.Kernel().Scheduler().Yield()
	return 0, nil
}

// schedulee returns the thread that a scheduling call is about: ESRCH, EINVAL.
func schedulee(t *task.Task, pid int32) (*task.Task, error) {
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

// mayReschedule reports whether t may change target's scheduling.
func mayReschedule(t, target *task.Task) bool {
	own, other := t.Credentials(), target.Credentials()
	return own.EUID == other.EUID || own.EUID == other.UID || own.Has(cred.SysNice)
}

// cpuMaskSize is the size of the kernel's CPU mask in bytes.
const cpuMaskSize = 8

func sysSchedSetaffinity(t *task.Task, a *amd64.Args) (uint64, error) {
	var mask uint64
	if err := t.CopyIn(a[2], abi.Bytes(&mask)[:min(uint64(uint32(a[1])), cpuMaskSize)]); err != nil {
		return 0, err
	}
	target, err := schedulee(t, int32(a[0]))
	if err != nil {
		return 0, unix.ESRCH
	}
	if !mayReschedule(t, target) {
		return 0, unix.EPERM
	}
	if !target.SetAffinity(mask) {
		return 0, unix.EINVAL
	}
	return 0, nil
}

func sysSchedGetaffinity(t *task.Task, a *amd64.Args) (uint64, error) {
	size := uint64(uint32(a[1]))
	if size*8 < uint64(t.Kernel().CPUs()) || size%cpuMaskSize != 0 {
		return 0, unix.EINVAL
	}
	target, err := schedulee(t, int32(a[0]))
	if err != nil {
		return 0, unix.ESRCH
	}
	return cpuMaskSize, abi.CopyOut(t, a[2], target.Affinity())
}

// The scheduling policies (sched(7)), and the flag beside them.
const (
	policyOther     = 0
	policyFIFO      = 1
	policyRR        = 2
	policyBatch     = 3
	policyIdle      = 5
	resetOnFork     = 0x40000000
	maxRealtime     = 99
	roundRobinSlice = 100 * 1000 * 1000 // nanoseconds
	otherSlice      = 4 * 1000 * 1000
)

// checkPolicy refuses a policy that does not exist, or a priority that does not
// fit it.
func checkPolicy(policy, priority int32) error {
	switch policy {
	case policyFIFO, policyRR:
		if priority < 1 || priority > maxRealtime {
			return unix.EINVAL
		}
		return nil
	case policyOther, policyBatch, policyIdle:
		if priority != 0 {
			return unix.EINVAL
		}
		return nil
	}
	return unix.EINVAL
}

// setPolicy is the common part of sched_setscheduler(2) and
// sched_setparam(2), which keeps the policy.
func setPolicy(t *task.Task, pid, policy int32, keep bool, address uint64) error {
	if pid < 0 || address == 0 || !keep && policy < 0 {
		return unix.EINVAL
	}
	word, err := t.LoadUint32(address)
	if err != nil {
		return err
	}
	target, err := schedulee(t, pid)
	if err != nil {
		return err
	}
	s := &target.Scheduling
	reset := policy&resetOnFork != 0
	policy &^= resetOnFork
	if keep {
		policy, reset = s.Policy.Load(), s.Reset.Load()
	}
	priority := int32(word)
	if err := checkPolicy(policy, priority); err != nil {
		return err
	}
	if !mayReschedule(t, target) || !mayBeRealtime(t, target, priority) {
		return unix.EPERM
	}
	s.Policy.Store(policy)
	s.Priority.Store(priority)
	s.Reset.Store(reset)
	return nil
}

// mayBeRealtime applies RLIMIT_RTPRIO.
func mayBeRealtime(t, target *task.Task, priority int32) bool {
	return priority <= target.Scheduling.Priority.Load() || t.Credentials().Has(cred.SysNice) ||
		uint64(priority) <= target.Group().Limits.Soft(unix.RLIMIT_RTPRIO)
}

func sysSchedSetscheduler(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, setPolicy(t, int32(a[0]), int32(a[1]), false, a[2])
}

func sysSchedSetparam(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, setPolicy(t, int32(a[0]), 0, true, a[1])
}

func sysSchedGetscheduler(t *task.Task, a *amd64.Args) (uint64, error) {
	target, err := schedulee(t, int32(a[0]))
	if err != nil {
		return 0, err
	}
	policy := uint64(target.Scheduling.Policy.Load())
	if target.Scheduling.Reset.Load() {
		policy |= resetOnFork
	}
	return policy, nil
}

func sysSchedGetparam(t *task.Task, a *amd64.Args) (uint64, error) {
	target, err := schedulee(t, int32(a[0]))
	if err != nil {
		return 0, err
	}
	if a[1] == 0 {
		return 0, unix.EINVAL
	}
	return 0, abi.CopyOut(t, a[1], target.Scheduling.Priority.Load())
}

func sysSchedGetPriorityMax(t *task.Task, a *amd64.Args) (uint64, error) {
	switch int32(a[0]) {
	case policyFIFO, policyRR:
		return maxRealtime, nil
	case policyOther, policyBatch, policyIdle:
		return 0, nil
	}
	return 0, unix.EINVAL
}

func sysSchedGetPriorityMin(t *task.Task, a *amd64.Args) (uint64, error) {
	highest, err := sysSchedGetPriorityMax(t, a)
	return min(highest, 1), err
}

func sysSchedRRGetInterval(t *task.Task, a *amd64.Args) (uint64, error) {
	target, err := schedulee(t, int32(a[0]))
	if err != nil {
		return 0, err
	}
	slice := int64(otherSlice)
	switch target.Scheduling.Policy.Load() {
	case policyRR:
		slice = roundRobinSlice
	case policyFIFO:
		slice = 0
	}
	return 0, storeTimespec(t, a[1], slice)
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

// Whose priority getpriority(2) and setpriority(2) are about.
const (
	priorityProcess = 0
	priorityGroup   = 1
	priorityUser    = 2

	lowestNice  = 19
	highestNice = -20
)

// priorityTargets returns the threads that which and who name: EINVAL, ESRCH.
func priorityTargets(t *task.Task, which uint64, who int32) ([]*task.Task, error) {
	var targets []*task.Task
	switch which {
	case priorityProcess:
		target, err := schedulee(t, max(who, -1))
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
			if g.Leader().Credentials().UID == uid {
				targets = append(targets, g.Threads()...)
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
	targets, err := priorityTargets(t, a[0], int32(a[1]))
	if err != nil {
		return 0, err
	}
	nice := int32(lowestNice)
	for _, target := range targets {
		nice = min(nice, target.Scheduling.Nice.Load())
	}
	return uint64(lowestNice + 1 - nice), nil // so that no result looks like an error
}

func sysSetpriority(t *task.Task, a *amd64.Args) (uint64, error) {
	targets, err := priorityTargets(t, a[0], int32(a[1]))
	if err != nil {
		return 0, err
	}
	nice := min(max(int32(a[2]), highestNice), lowestNice)
	for _, target := range targets {
		switch {
		case !mayReschedule(t, target):
			err = unix.EPERM
		case !mayBeNicer(t, target, nice):
			err = unix.EACCES
		default:
			target.Scheduling.Nice.Store(nice)
		}
	}
	return 0, err
}

// mayBeNicer applies RLIMIT_NICE.
func mayBeNicer(t, target *task.Task, nice int32) bool {
	return nice >= target.Scheduling.Nice.Load() || t.Credentials().Has(cred.SysNice) ||
		uint64(lowestNice+1-nice) <= target.Group().Limits.Soft(unix.RLIMIT_NICE)
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
