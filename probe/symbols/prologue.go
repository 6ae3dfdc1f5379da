package symbols

// codePattern is the beginning of a Go function: bytes, where -1 stands for any byte.
type codePattern []int

const anyByte = -1

// Instructions of the stack check (cmd/internal/obj/x86, stacksplit).
var (
	compareRSP = codePattern{0x49, 0x3b, 0x66, anyByte}                                  // CMPQ SP, guard(R14)
	compareR12 = codePattern{0x4d, 0x3b, 0x66, anyByte}                                  // CMPQ R12, guard(R14)
	leaSmall   = codePattern{0x4c, 0x8d, 0x64, 0x24, anyByte}                            // LEAQ -frame(SP), R12
	leaLarge   = codePattern{0x4c, 0x8d, 0xa4, 0x24, anyByte, anyByte, anyByte, anyByte} // the same
	copySP     = codePattern{0x49, 0x89, 0xe4}                                           // MOVQ SP, R12
	subtract   = codePattern{0x49, 0x81, 0xec, anyByte, anyByte, anyByte, anyByte}       // SUBQ $frame, R12
	belowShort = codePattern{0x72, anyByte}                                              // JCS morestack
	belowNear  = codePattern{0x0f, 0x82, anyByte, anyByte, anyByte, anyByte}             // the same
	jumpShort  = codePattern{0x76, anyByte}                                              // JLS morestack
	jumpNear   = codePattern{0x0f, 0x86, anyByte, anyByte, anyByte, anyByte}             // the same
)

// stackChecks are the forms of the stack check: for small, large and huge frames. Each
// step is a choice.
var stackChecks = [][][]codePattern{
	{{compareRSP}, {jumpShort, jumpNear}},
	{{leaSmall, leaLarge}, {compareR12}, {jumpShort, jumpNear}},
	{{copySP}, {subtract}, {belowShort, belowNear}, {compareR12}, {jumpShort, jumpNear}},
}

// longestCheck is at least the number of bytes of a stack check.
const longestCheck = 32

// match returns the rest of the code after the pattern.
func (p codePattern) match(code []byte) (rest []byte, ok bool) {
	if len(code) < len(p) {
		return nil, false
	}
	for i, want := range p {
		if want != anyByte && int(code[i]) != want {
			return nil, false
		}
	}
	return code[len(p):], true
}

// afterStackCheck returns the number of bytes of the stack check at the beginning of a Go
// function, or 0. If the check fails, the function calls morestack and begins again, so a
// probe behind the check has one hit for each call. The argument registers and the stack
// pointer still have the values of the entry there: the check changes only R12, which
// carries no argument.
func afterStackCheck(code []byte) int {
	for _, check := range stackChecks {
		rest, ok := code, true
		for _, step := range check {
			if rest, ok = matchAny(step, rest); !ok {
				break
			}
		}
		if ok {
			return len(code) - len(rest)
		}
	}
	return 0
}

func matchAny(choices []codePattern, code []byte) (rest []byte, ok bool) {
	for _, p := range choices {
		if rest, ok := p.match(code); ok {
			return rest, true
		}
	}
	return nil, false
}

// AtEntry reports whether an address is the entry of a function: its first instruction or,
// in a Go function, the one behind the stack check.
func (o *Object) AtEntry(address uint64) bool {
	f := o.FunctionAt(address)
	if f == nil || f.Address == address {
		return f != nil
	}
	return f.Go && address == f.Address+uint64(afterStackCheck(o.Code(f.Address, longestCheck)))
}
