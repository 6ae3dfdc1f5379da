package abi

import "unsafe"

// Kill returns the member for kill(2) and tkill(2).
func (f *SiginfoFields) Kill() *SiginfoKill { return (*SiginfoKill)(unsafe.Pointer(f)) }

// Timer returns the member for an expired POSIX timer.
func (f *SiginfoFields) Timer() *SiginfoTimer { return (*SiginfoTimer)(unsafe.Pointer(f)) }

// RT returns the member for sigqueue(3).
func (f *SiginfoFields) RT() *SiginfoRT { return (*SiginfoRT)(unsafe.Pointer(f)) }

// Child returns the member for SIGCHLD.
func (f *SiginfoFields) Child() *SiginfoChild { return (*SiginfoChild)(unsafe.Pointer(f)) }

// Fault returns the member for SIGILL, SIGFPE, SIGSEGV, SIGBUS and SIGTRAP.
func (f *SiginfoFields) Fault() *SiginfoFault { return (*SiginfoFault)(unsafe.Pointer(f)) }

// Sys returns the member for SIGSYS.
func (f *SiginfoFields) Sys() *SiginfoSys { return (*SiginfoSys)(unsafe.Pointer(f)) }
