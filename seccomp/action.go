package seccomp

import (
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/sysctl"
)

// action is the upper half of the verdict of a filter; the lower half is data
// (seccomp(2)).
type action uint32

const (
	retKillProcess action = 0x80000000
	retKillThread  action = 0x00000000
	retTrap        action = 0x00030000
	retErrno       action = 0x00050000
	retUserNotify  action = 0x7fc00000
	retTrace       action = 0x7ff00000
	retLog         action = 0x7ffc0000
	retAllow       action = 0x7fff0000

	actionMask = 0xffff0000
	dataMask   = 0x0000ffff
)

func actionOf(verdict uint32) action { return action(verdict & actionMask) }

// actions are the known actions, in the order of /proc/sys/kernel/seccomp. The index is
// the bit of the action in Settings.SeccompLogged.
var actions = [...]struct {
	action action
	name   string
}{
	{retKillProcess, "kill_process"}, {retKillThread, "kill_thread"}, {retTrap, "trap"}, {retErrno, "errno"},
	{retUserNotify, "user_notif"}, {retTrace, "trace"}, {retLog, "log"}, {retAllow, "allow"},
}

// allowBit is the bit of SECCOMP_RET_ALLOW, which cannot be logged.
const allowBit = 7

// bit returns the bit of an action, -1 for an unknown one.
func (a action) bit() int {
	for i := range actions {
		if actions[i].action == a {
			return i
		}
	}
	return -1
}

// ActionAvailable is SECCOMP_GET_ACTION_AVAIL: EOPNOTSUPP for an unknown action.
func ActionAvailable(a uint32) error {
	if action(a).bit() < 0 {
		return unix.EOPNOTSUPP
	}
	return nil
}

// names returns the names of a set of actions.
func names(set int64) string {
	var list []string
	for i := range actions {
		if set>>i&1 != 0 {
			list = append(list, actions[i].name)
		}
	}
	return strings.Join(list, " ")
}

// parseNames returns the set of a list of names. Error: EINVAL for an unknown name.
func parseNames(text string) (set int64, err error) {
	for _, name := range strings.Fields(text) {
		known := false
		for i := range actions {
			if actions[i].name == name {
				set |= 1 << i
				known = true
			}
		}
		if !known {
			return 0, unix.EINVAL
		}
	}
	return set, nil
}

// Sysctls returns the files of /proc/sys/kernel/seccomp, with every action but allow
// logged.
func Sysctls(s *sysctl.Settings) []sysctl.Row {
	const all, longest = 1<<len(actions) - 1, 64
	s.SeccompLogged.Set(all &^ (1 << allowBit))
	return []sysctl.Row{
		sysctl.ConstantText("kernel/seccomp/actions_avail", func() string { return names(all) }),
		{
			Name: "kernel/seccomp/actions_logged", Mode: 0o644, Capability: uint8(cred.SysAdmin),
			Value: sysctl.String{
				Get: func() string { return names(s.SeccompLogged.Get()) }, Max: longest + len(actions),
				Set: func(text string) error {
					set, err := parseNames(text)
					if err != nil || set&(1<<allowBit) != 0 {
						return unix.EINVAL
					}
					s.SeccompLogged.Set(set)
					return nil
				},
			},
		},
	}
}
