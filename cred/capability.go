package cred

// Capability is the number of one capability, as in capabilities(7) and
// linux/capability.h.
type Capability uint8

// Capabilities is a set of capabilities, bit n for Capability n.
type Capabilities uint64

// The capabilities of Linux 6.1.
const (
	Chown Capability = iota
	DACOverride
	DACReadSearch
	FOwner
	FSetID
	Kill
	SetGID
	SetUID
	SetPCap
	LinuxImmutable
	NetBindService
	NetBroadcast
	NetAdmin
	NetRaw
	IPCLock
	IPCOwner
	SysModule
	SysRawIO
	SysChroot
	SysPTrace
	SysPAcct
	SysAdmin
	SysBoot
	SysNice
	SysResource
	SysTime
	SysTTYConfig
	MkNod
	Lease
	AuditWrite
	AuditControl
	SetFCap
	MACOverride
	MACAdmin
	SysLog
	WakeAlarm
	BlockSuspend
	AuditRead
	PerfMon
	BPF
	CheckpointRestore

	// LastCapability is CAP_LAST_CAP.
	LastCapability = CheckpointRestore
)

// AllCapabilities holds every capability that exists.
const AllCapabilities = Capabilities(1)<<(LastCapability+1) - 1

// FileCapabilities are the capabilities that setfsuid(2) removes from the effective
// set when the file-system user id changes from 0 (Linux: CAP_FS_SET).
const FileCapabilities = Capabilities(1)<<Chown | 1<<DACOverride | 1<<DACReadSearch | 1<<FOwner |
	1<<FSetID | 1<<LinuxImmutable | 1<<MkNod | 1<<MACOverride

// Valid reports whether k is the number of a capability.
func (k Capability) Valid() bool { return k <= LastCapability }

// Has reports whether k is in the set. It is false for an invalid number.
func (s Capabilities) Has(k Capability) bool { return k.Valid() && s&(1<<k) != 0 }

// With returns the set with k in it.
func (s Capabilities) With(k Capability) Capabilities { return s | 1<<k }

// Without returns the set without k.
func (s Capabilities) Without(k Capability) Capabilities { return s &^ (1 << k) }
