package abi

// SeccompData is struct seccomp_data (seccomp(2), linux/seccomp.h).
type SeccompData struct {
	NR   int32
	Arch uint32
	IP   uint64
	Args [6]uint64
}

// SeccompNotif is struct seccomp_notif (seccomp_unotify(2), linux/seccomp.h).
type SeccompNotif struct {
	ID    uint64
	PID   uint32
	Flags uint32
	Data  SeccompData
}

// SeccompNotifResp is struct seccomp_notif_resp.
type SeccompNotifResp struct {
	ID    uint64
	Val   int64
	Error int32
	Flags uint32
}

// SeccompNotifAddFD is struct seccomp_notif_addfd.
type SeccompNotifAddFD struct {
	ID         uint64
	Flags      uint32
	SrcFD      uint32
	NewFD      uint32
	NewFDFlags uint32
}

// SeccompNotifSizes is struct seccomp_notif_sizes (seccomp(2),
// SECCOMP_GET_NOTIF_SIZES).
type SeccompNotifSizes struct{ Notif, Resp, Data uint16 }

// SockFilter is struct sock_filter (linux/filter.h).
type SockFilter struct {
	Code   uint16
	JT, JF uint8
	K      uint32
}

// SockFprog is struct sock_fprog (linux/filter.h).
type SockFprog struct {
	Len    uint16
	Pad    [6]byte
	Filter uint64
}

// SeccompMetadata is struct seccomp_metadata (ptrace(2),
// PTRACE_SECCOMP_GET_METADATA).
type SeccompMetadata struct{ FilterOff, Flags uint64 }

// PtraceSudConfig is struct ptrace_sud_config (linux/ptrace.h, since Linux 6.4).
type PtraceSudConfig struct{ Mode, Selector, Offset, Len uint64 }
