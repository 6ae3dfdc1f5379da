package abi

// RESOLVE_CACHED is the flag of openat2(2) that makes the call fail with EAGAIN
// if it would block (linux/openat2.h).
const RESOLVE_CACHED = 0x20
