package function

import "slowpath/uprobe/insn"

// Body returns the file offset of the first instruction that is executed once in each call.
// In a function of Go that is after the comparison of the stack pointer with the limit: if
// the stack must grow, or the goroutine is preempted, the function calls
// runtime.morestack and then begins again. In other functions it is the start. The
// arguments are still in their registers.
func (i *Image) Body(f Function) (uint64, error) {
	if !f.Go {
		return f.Start, nil
	}
	const longest = 64 // bytes of the comparison for a large frame
	code, err := i.file.bytes(f.Start, min(longest, f.End-f.Start))
	if err != nil {
		return 0, err
	}
	compared := false
	for at := uint64(0); ; {
		in, err := insn.Decode(code[at:])
		if err != nil || in.IsCall() || in.IsReturn() {
			return f.Start, nil
		}
		at += uint64(in.Len())
		if compared && in.Conditional() {
			return f.Start + at, nil
		}
		compared = comparesStack(&in)
	}
}

// comparesStack reports whether an instruction is CMP RSP, [R14+16] or CMP R12, [R14+16],
// or the same with 24: stackguard0 and stackguard1 of the goroutine (runtime/stack.go).
func comparesStack(in *insn.Instruction) bool {
	b := in.Bytes()
	return in.Len() == 4 && (b[0] == 0x49 || b[0] == 0x4d) && b[1] == 0x3b && b[2] == 0x66 && (b[3] == 16 || b[3] == 24)
}
