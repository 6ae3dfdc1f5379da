package amd64

// A tracer single-steps a program by TF in the program's RFLAGS. The program must not
// see that TF. stepForced marks a TF that is the tracer's and not the program's (Linux:
// TIF_FORCED_TF). The caller of the methods below is f's own goroutine, or f's task is
// stopped. f is settled.

// ForceStep sets TF for a tracer. The program does not see it.
func (f *Frame) ForceStep() {
	f.RFLAGS |= FlagTF
	f.stepForced = true
}

// StepForced reports whether TF is set for a tracer.
func (f *Frame) StepForced() bool { return f.stepForced }

// KeepStep makes a TF that is set the program's own.
func (f *Frame) KeepStep() { f.stepForced = false }

// EndForcedStep clears TF if it is set for a tracer.
func (f *Frame) EndForcedStep() {
	if f.stepForced {
		f.RFLAGS &^= FlagTF
		f.stepForced = false
	}
}

// ProgramFlags returns RFLAGS as the program sees it: without the TF of a tracer.
func (f *Frame) ProgramFlags() uint64 {
	if f.stepForced {
		return f.RFLAGS &^ FlagTF
	}
	return f.RFLAGS
}

// SetProgramFlags sets the bits of RFLAGS that a tracer may choose, UserFlags. A TF in
// flags becomes the program's own; without it, the TF of the tracer stays (Linux:
// set_flags in arch/x86/kernel/ptrace.c).
func (f *Frame) SetProgramFlags(flags uint64) {
	if flags&FlagTF != 0 {
		f.stepForced = false
	} else if f.stepForced {
		flags |= FlagTF
	}
	f.RFLAGS = f.RFLAGS&^UserFlags | flags&UserFlags
}
