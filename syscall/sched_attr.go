package syscall

import (
	"errors"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/sched"
	"slowpath/task"
)

// Sizes of struct sched_attr (sched_setattr(2)).
const (
	schedAttrFirst = 48 // SCHED_ATTR_SIZE_VER0
	schedAttrClamp = 56 // SCHED_ATTR_SIZE_VER1, with the utilization clamps
)

// The flags of struct sched_attr.
const (
	clampFlags    = unix.SCHED_FLAG_UTIL_CLAMP_MIN | unix.SCHED_FLAG_UTIL_CLAMP_MAX
	deadlineFlags = unix.SCHED_FLAG_RECLAIM | unix.SCHED_FLAG_DL_OVERRUN
	schedFlags    = unix.SCHED_FLAG_RESET_ON_FORK | deadlineFlags | unix.SCHED_FLAG_KEEP_POLICY | unix.SCHED_FLAG_KEEP_PARAMS | clampFlags
	// kernelFlag is SCHED_FLAG_SUGOV, which only the kernel's own threads may have.
	kernelFlag = 0x10000000
)

func sysSchedSetattr(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[1] == 0 || int32(a[0]) < 0 || uint32(a[2]) != 0 {
		return 0, unix.EINVAL
	}
	request, err := loadSchedAttr(t, a[1])
	if err != nil {
		return 0, err
	}
	if int32(request.Policy) < 0 {
		return 0, unix.EINVAL
	}
	if request.Flags&unix.SCHED_FLAG_KEEP_POLICY != 0 {
		request.Policy = currentPolicy
	}
	target, err := schedulingTarget(t, int32(a[0]))
	if err != nil {
		return 0, err
	}
	if request.Flags&unix.SCHED_FLAG_KEEP_PARAMS != 0 {
		fillParameters(target, &request)
	}
	return 0, setScheduling(t, target, request)
}

// loadSchedAttr reads a struct sched_attr. Errors: EFAULT, E2BIG if the size is none of a known
// version or unknown fields are not zero (the size that the kernel knows is stored), EINVAL for
// clamps beyond the size.
func loadSchedAttr(t *task.Task, address uint64) (r unix.SchedAttr, err error) {
	size, err := t.LoadUint32(address)
	if err != nil {
		return r, err
	}
	if size == 0 {
		size = schedAttrFirst
	}
	r, err = loadExtensible[unix.SchedAttr](t, address, uint64(size), schedAttrFirst)
	if err == unix.E2BIG || size < schedAttrFirst {
		if err := abi.CopyOut(t, address, uint32(unix.SizeofSchedAttr)); err != nil {
			return r, unix.E2BIG // the size is only a hint
		}
		return r, unix.E2BIG
	}
	if err == nil && r.Flags&clampFlags != 0 && size < schedAttrClamp {
		err = unix.EINVAL
	}
	r.Nice = min(max(r.Nice, highestNice), lowestNice)
	return r, err
}

func sysSchedGetattr(t *task.Task, a *amd64.Args) (uint64, error) {
	const page = 4096
	size := uint32(a[2])
	if a[1] == 0 || int32(a[0]) < 0 || size > page || size < schedAttrFirst || uint32(a[3]) != 0 {
		return 0, unix.EINVAL
	}
	target, err := schedulingTarget(t, int32(a[0]))
	if err != nil {
		return 0, err
	}
	r := unix.SchedAttr{Policy: uint32(target.Attributes().Policy)}
	fillParameters(target, &r)
	if target.Scheduling.Reset.Load() {
		r.Flags |= unix.SCHED_FLAG_RESET_ON_FORK
	}
	r.Size = min(size, unix.SizeofSchedAttr)
	return 0, t.CopyOut(a[1], abi.Bytes(&r)[:r.Size])
}

// fillParameters sets the parameters of the policy that target has (Linux: get_params).
func fillParameters(target *task.Task, r *unix.SchedAttr) {
	a := target.Attributes()
	switch {
	case a.Policy.Realtime():
		r.Priority = uint32(a.Priority)
	case a.Policy != sched.Deadline:
		r.Nice = a.Nice
	default:
		v := target.Kernel().Scheduler().Reservation(target.Entity())
		r.Priority, r.Runtime, r.Deadline, r.Period = 0, uint64(v.Runtime), uint64(v.Deadline), uint64(v.Period)
		r.Flags = r.Flags&^deadlineFlags | flagsOf(v)
	}
}

// flagsOf returns the flags of a reservation as struct sched_attr has them.
func flagsOf(v sched.Reservation) (flags uint64) {
	if v.Reclaim {
		flags |= unix.SCHED_FLAG_RECLAIM
	}
	if v.SignalOverrun {
		flags |= unix.SCHED_FLAG_DL_OVERRUN
	}
	return flags
}

// setScheduling changes the policy and parameters of target for t (Linux:
// __sched_setscheduler). The policy of the request may be currentPolicy. Errors: EINVAL, EPERM,
// EBUSY if a reservation does not fit, EOPNOTSUPP for utilization clamps.
func setScheduling(t, target *task.Task, r unix.SchedAttr) error {
	policy, reset := int32(r.Policy), r.Flags&unix.SCHED_FLAG_RESET_ON_FORK != 0
	if r.Policy == currentPolicy {
		policy, reset = int32(target.Attributes().Policy), target.Scheduling.Reset.Load()
	}
	if err := checkRequest(t, policy, &r); err != nil {
		return err
	}
	if needsPrivilege(t, target, policy, &r, reset) && !t.Credentials().Has(cred.SysNice) {
		return unix.EPERM
	}
	switch {
	case r.Flags&kernelFlag != 0:
		return unix.EINVAL
	case !mayChangeScheduling(t, target):
		return unix.EPERM
	case r.Flags&clampFlags != 0:
		return unix.EOPNOTSUPP // as in a kernel without CONFIG_UCLAMP_TASK
	}
	if r.Flags&unix.SCHED_FLAG_KEEP_PARAMS == 0 {
		if err := applyRequest(target, policy, &r); err != nil {
			return err
		}
	}
	target.Scheduling.Reset.Store(reset)
	return nil
}

// checkRequest returns EINVAL for an unknown policy or flag, and for parameters that do not
// belong to the policy.
func checkRequest(t *task.Task, policy int32, r *unix.SchedAttr) error {
	switch policy {
	case policyOther, policyBatch, policyIdle, policyFIFO, policyRR, policyDeadline:
	default:
		return unix.EINVAL
	}
	if r.Flags&^(schedFlags|kernelFlag) != 0 || r.Priority > maxRealtime ||
		sched.Policy(policy).Realtime() != (r.Priority != 0) {
		return unix.EINVAL
	}
	if policy == policyDeadline && r.Flags&kernelFlag == 0 && !reservationIsValid(t, r) {
		return unix.EINVAL
	}
	return nil
}

// reservationIsValid reports whether the parameters of SCHED_DEADLINE are possible (Linux:
// __checkparam_dl).
func reservationIsValid(t *task.Task, r *unix.SchedAttr) bool {
	const shortest, sign, microsecond = 1 << 10, 1 << 63, 1000
	if r.Deadline == 0 || r.Runtime < shortest || r.Deadline&sign != 0 || r.Period&sign != 0 {
		return false
	}
	period := r.Period
	if period == 0 {
		period = r.Deadline
	}
	s := t.Kernel().Settings()
	return r.Runtime <= r.Deadline && r.Deadline <= period &&
		period >= uint64(s.SchedDeadlinePeriodMinUS.Get())*microsecond && period <= uint64(s.SchedDeadlinePeriodMaxUS.Get())*microsecond
}

// needsPrivilege reports whether only a task with CAP_SYS_NICE may make the change (Linux:
// user_check_sched_setscheduler).
func needsPrivilege(t, target *task.Task, policy int32, r *unix.SchedAttr, reset bool) bool {
	now := target.Attributes()
	switch policy {
	case policyDeadline:
		return true
	case policyOther, policyBatch:
		if r.Nice < now.Nice && !niceWithinLimit(target, r.Nice) {
			return true
		}
	case policyFIFO, policyRR:
		limit := target.Group().Limits.Soft(unix.RLIMIT_RTPRIO)
		if policy != int32(now.Policy) && limit == 0 || r.Priority > uint32(now.Priority) && uint64(r.Priority) > limit {
			return true
		}
	}
	// SCHED_IDLE is less than the nice value 19: to leave it is like lowering the nice value.
	leavesIdle := now.Policy == sched.Idle && policy != policyIdle && !niceWithinLimit(target, now.Nice)
	return leavesIdle || !sameOwner(t.Credentials(), target.Credentials()) || target.Scheduling.Reset.Load() && !reset
}

// applyRequest makes the change. Errors: EPERM and EBUSY, of SCHED_DEADLINE.
func applyRequest(target *task.Task, policy int32, r *unix.SchedAttr) error {
	if policy == policyDeadline {
		return reserve(target, r)
	}
	a := sched.Attributes{Policy: sched.Policy(policy), Priority: int32(r.Priority), Nice: target.Attributes().Nice}
	if policy == policyOther || policy == policyBatch {
		a.Nice = r.Nice
	}
	target.SetAttributes(a)
	return nil
}

// reserve gives target the policy SCHED_DEADLINE.
func reserve(target *task.Task, r *unix.SchedAttr) error {
	v := sched.Reservation{
		Runtime: int64(r.Runtime), Deadline: int64(r.Deadline), Period: int64(r.Period),
		Reclaim: r.Flags&unix.SCHED_FLAG_RECLAIM != 0, SignalOverrun: r.Flags&unix.SCHED_FLAG_DL_OVERRUN != 0,
	}
	if v.Period == 0 {
		v.Period = v.Deadline
	}
	switch err := target.Kernel().Scheduler().Reserve(target.Entity(), v); {
	case errors.Is(err, sched.ErrConfined):
		return unix.EPERM
	case err != nil:
		return unix.EBUSY
	}
	return nil
}
