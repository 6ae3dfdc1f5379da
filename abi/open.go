package abi

// RESOLVE_CACHED is the flag of openat2(2) that forbids to block: the call
// fails with EAGAIN instead (linux/openat2.h).
const RESOLVE_CACHED = 0x20
