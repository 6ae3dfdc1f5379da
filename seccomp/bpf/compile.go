package bpf

// Program is a compiled filter. It is immutable and safe for concurrent use.
type Program struct {
	nodes []node
	// starts has, by system call number, the node from which a run for that number
	// begins, if the architecture is arch: the nodes before depend only on number
	// and architecture.
	starts []uint16
	arch   uint32
	bytes  int64
}

// A node is a part of a program that is entered only at its beginning. It executes
// ops, loads the accumulator from a word of the data, and ends as kind says.
type node struct {
	kind   kind
	load   uint8 // index of the word, or loadNothing
	ops    []Instruction
	k      uint32
	bounds []uint32 // ascending; the interval i ends before bounds[i]
	next   []target // one for each interval
}

// loadNothing is the load of a node that keeps its accumulator.
const loadNothing = dataWords

// kind says how a node selects the next one.
type kind uint8

const (
	// bySearch: the interval that has the accumulator.
	bySearch kind = iota
	// The others have two targets, for false and true.
	bySetK // a bit of K is set in the accumulator
	byEqualX
	byGreaterX
	byGreaterEqualX
	bySetX
	// byReturn ends the run with the accumulator.
	byReturn
)

// target is a node, or the end of the run with a verdict.
type target int64

func verdict(v uint32) target    { return target(v) }
func toNode(n int) target        { return ^target(n) }
func (t target) isVerdict() bool { return t >= 0 }
func (t target) node() int       { return int(^t) }

// Bounds of the work of Compile. A comparison that exceeds one becomes a node of its
// own, so no program makes Compile slow or its result large.
const (
	longestRun      = 260 // comparisons in a row that are joined
	stepsPerOne     = 300 // steps of the search for intervals, for each instruction
	intervalsPerOne = 4   // intervals, for each instruction
)

// CompileBytes returns an upper bound of the memory that Compile uses for a program
// of n instructions, in bytes.
func CompileBytes(n int) int64 {
	const nodeBytes, intervalBytes, startBytes = 96, 12, 2
	return int64(n*(nodeBytes+intervalsPerOne*intervalBytes)*2 + MaxNumber*startBytes)
}

// MaxNumber is the number of system call numbers for which Compile prepares starts.
const MaxNumber = 512

// Compile translates a program that Check has accepted. arch is the architecture of
// the calls that run it most.
func Compile(program []Instruction, arch uint32) *Program {
	c := compiler{
		program: program, nodes: make(map[int]int), joins: make([]bool, len(program)),
		steps: stepsPerOne * len(program), intervals: intervalsPerOne * len(program),
	}
	for pc, i := range program {
		if i.conditional() {
			c.joins[pc+1+int(i.JT)], c.joins[pc+1+int(i.JF)] = true, true
		} else if i.Code == jumpAlways {
			c.joins[pc+1+int(i.K)] = true
		}
	}
	c.at(0)
	for len(c.todo) > 0 {
		pc := c.todo[len(c.todo)-1]
		c.todo = c.todo[:len(c.todo)-1]
		c.out[c.nodes[pc]] = c.build(pc)
	}
	p := &Program{nodes: c.out, arch: arch}
	p.prepareStarts()
	p.bytes = CompileBytes(len(program))
	return p
}

// Bytes returns about how much memory the program needs.
func (p *Program) Bytes() int64 { return p.bytes }

// compiler is the state of one Compile.
type compiler struct {
	program []Instruction
	joins   []bool      // the instruction is the target of a jump
	nodes   map[int]int // by first instruction
	out     []node
	todo    []int // first instructions of nodes that are not built yet

	steps, intervals int // that are left
}

// at returns the node that begins at pc, which is built later.
func (c *compiler) at(pc int) int {
	n, known := c.nodes[pc]
	if !known {
		n = len(c.out)
		c.nodes[pc] = n
		c.out = append(c.out, node{})
		c.todo = append(c.todo, pc)
	}
	return n
}

// follow skips unconditional jumps.
func (c *compiler) follow(pc int) int {
	for c.program[pc].Code == jumpAlways {
		pc += 1 + int(c.program[pc].K)
	}
	return pc
}

// resolve returns the target of a jump to pc.
func (c *compiler) resolve(pc int) target {
	pc = c.follow(pc)
	if i := c.program[pc]; i.Code == returnK {
		return verdict(i.K)
	}
	return toNode(c.at(pc))
}

// build builds the node that begins at pc.
func (c *compiler) build(pc int) node {
	n := node{load: loadNothing}
	for first := pc; ; pc++ {
		i := c.program[pc]
		if class := i.class(); class == classJMP || class == classRET || pc != first && c.joins[pc] {
			break
		}
		n.ops = append(n.ops, i)
	}
	if last := len(n.ops) - 1; last >= 0 && n.ops[last].Code == loadABS {
		n.load = uint8(n.ops[last].K / 4)
		n.ops = n.ops[:last:last]
	}
	c.end(&n, pc)
	return n
}

// conditions has the kinds of the jumps that are not comparisons with a constant.
var conditions = map[uint16]kind{
	jumpSET | sourceK: bySetK, jumpSET | sourceX: bySetX,
	jumpEQ | sourceX: byEqualX, jumpGT | sourceX: byGreaterX, jumpGE | sourceX: byGreaterEqualX,
}

// end adds to n what follows its instructions, from pc on.
func (c *compiler) end(n *node, pc int) {
	i := c.program[pc]
	if kind, ok := conditions[i.Code]; ok {
		n.kind, n.k = kind, i.K
		n.next = []target{c.resolve(pc + 1 + int(i.JF)), c.resolve(pc + 1 + int(i.JT))}
		return
	}
	switch {
	case i.Code == returnA:
		n.kind = byReturn
	case i.comparison():
		c.search(n, pc)
	default:
		n.next = []target{c.resolve(pc)}
	}
}

// comparison reports whether the instruction compares the accumulator with a
// constant.
func (i Instruction) comparison() bool {
	switch i.Code {
	case jumpEQ, jumpGT, jumpGE:
		return true
	}
	return false
}

// piece is an interval of values of the accumulator that reach an instruction after
// depth comparisons.
type piece struct {
	pc, depth int
	low, high uint32
}

// search makes n end with the intervals of the comparisons from pc on.
func (c *compiler) search(n *node, pc int) {
	stack := []piece{{pc: pc, high: ^uint32(0)}}
	for len(stack) > 0 {
		p := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		p.pc = c.follow(p.pc)
		i := c.program[p.pc]
		exhausted := p.depth >= longestRun || c.steps <= 0 || c.intervals <= 0
		if !i.comparison() || exhausted && p.depth > 0 {
			c.addInterval(n, p, c.resolve(p.pc))
			continue
		}
		c.steps--
		parts, count := i.split(p)
		stack = append(stack, parts[:count]...)
	}
}

// split returns the n pieces of p after the comparison i, the highest first.
func (i Instruction) split(p piece) (parts [3]piece, n int) {
	yes, no := p.pc+1+int(i.JT), p.pc+1+int(i.JF)
	add := func(pc int, low, high uint64) {
		low, high = max(low, uint64(p.low)), min(high, uint64(p.high))
		if low <= high {
			parts[n] = piece{pc, p.depth + 1, uint32(low), uint32(high)}
			n++
		}
	}
	const end = 1<<32 - 1
	k := uint64(i.K)
	switch i.Code {
	case jumpEQ:
		add(no, k+1, end)
		add(yes, k, k)
		if k > 0 {
			add(no, 0, k-1)
		}
	case jumpGT:
		add(yes, k+1, end)
		add(no, 0, k)
	default:
		add(yes, k, end)
		if k > 0 {
			add(no, 0, k-1)
		}
	}
	return parts, n
}

// addInterval appends the interval of p, which begins where the last one ends.
func (c *compiler) addInterval(n *node, p piece, t target) {
	if last := len(n.next) - 1; last >= 0 {
		if n.next[last] == t {
			return
		}
		n.bounds = append(n.bounds, p.low)
	}
	n.next = append(n.next, t)
	c.intervals--
}

// prepareStarts finds the start for each system call number.
func (p *Program) prepareStarts() {
	starts := make([]uint16, MaxNumber)
	useful := false
	for nr := range starts {
		starts[nr] = uint16(p.startFor(Data{NR: int32(nr), Arch: p.arch, Args: new([6]uint64)}))
		useful = useful || starts[nr] != 0
	}
	if useful {
		p.starts = starts
	}
}

// startFor returns the last node before which a run depends only on number and
// architecture, and which loads its own accumulator.
func (p *Program) startFor(d Data) int {
	const known = 2 // words of the data
	at := 0
	for {
		n := &p.nodes[at]
		if n.kind != bySearch || len(n.ops) != 0 || n.load >= known {
			return at
		}
		t := n.next[n.find(d.word(n.load))]
		if t.isVerdict() {
			return at
		}
		if p.nodes[t.node()].load == loadNothing || len(p.nodes[t.node()].ops) != 0 {
			return at // it may use the accumulator
		}
		at = t.node()
	}
}
