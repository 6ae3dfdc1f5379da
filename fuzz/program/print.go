package program

import (
	"fmt"
	"strings"

	"slowpath/syscall"
)

// String returns the routines as text, one instruction a line.
func (p *Program) String() string {
	var b strings.Builder
	for n, routine := range p.Routines {
		fmt.Fprintf(&b, "routine %d:\n", n)
		for i := range routine {
			fmt.Fprintf(&b, "\t%v\n", &routine[i])
		}
	}
	return b.String()
}

// String returns the instruction as text. $n is the contents of slot n.
func (i *Instruction) String() string {
	switch i.Op {
	case OpStore:
		return fmt.Sprintf("store %#x at %#x", i.Args[1], i.Args[0])
	case OpLoad:
		return fmt.Sprintf("load %#x", i.Args[0])
	case OpRefill:
		return "refill"
	case OpYield:
		return "yield"
	}
	var arguments []string
	name, known := syscall.Name(i.Number), calls[i.Number].arguments
	if i.Op == OpCall32 {
		name, known = "i386 "+syscall.Name32(i.Number), calls32[i.Number].arguments
	}
	for n := range known {
		text := fmt.Sprintf("%#x", i.Args[n])
		switch {
		case i.Slots&(1<<n) != 0:
			text = fmt.Sprintf("$%d", i.Args[n])
		case int64(i.Args[n]) < 0 && int64(i.Args[n]) > -1000:
			text = fmt.Sprint(int64(i.Args[n]))
		case isPath(i.Args[n]):
			text = fmt.Sprintf("%q", pathAt(i.Args[n]))
		}
		arguments = append(arguments, text)
	}
	return name + "(" + strings.Join(arguments, ", ") + ")"
}

// isPath reports whether the address is that of a path name of the image.
func isPath(at uint64) bool {
	list := image.addresses[pathName]
	return at >= list[0] && at <= list[len(list)-1] && pathAt(at) != ""
}

// pathAt returns the string at an address of the image.
func pathAt(at uint64) string {
	text, _, _ := strings.Cut(string(image.bytes[at-DataBase:]), "\x00")
	return text
}
