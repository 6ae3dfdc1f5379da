package abi

// RESOLVE_CACHED is the flag of openat2(2) that asks for an answer without
// waiting (linux/openat2.h).
const RESOLVE_CACHED = 0x20
