package bpf

// Run executes the program and returns its verdict. It does not sleep or allocate.
func (p *Program) Run(d *Data) uint32 {
	at, a := 0, uint32(0)
	if nr := uint32(d.NR); nr < uint32(len(p.starts)) && d.Arch == p.arch {
		at = int(p.starts[nr])
	}
	for {
		n := &p.nodes[at]
		if n.kind != bySearch || len(n.ops) != 0 {
			return p.runFrom(n, a, d)
		}
		if n.load != loadNothing {
			a = d.word(n.load)
		}
		t := n.next[n.find(a)]
		if t.isVerdict() {
			return uint32(t)
		}
		at = t.node()
	}
}

// find returns the index of the interval that has a.
func (n *node) find(a uint32) int {
	low, high := 0, len(n.bounds)
	for low < high {
		middle := int(uint(low+high) / 2)
		if n.bounds[middle] <= a {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// machine has the registers of a run: the accumulator, the index register and the
// scratch memory.
type machine struct {
	a, x   uint32
	memory [words]uint32
}

// runFrom continues a run at node n with the accumulator a, before any instruction
// has used the other registers.
func (p *Program) runFrom(n *node, a uint32, d *Data) uint32 {
	m := machine{a: a}
	for {
		for i := range n.ops {
			if !m.execute(&n.ops[i], d) {
				return 0
			}
		}
		if n.load != loadNothing {
			m.a = d.word(n.load)
		}
		if n.kind == byReturn {
			return m.a
		}
		t := n.next[m.choose(n)]
		if t.isVerdict() {
			return uint32(t)
		}
		n = &p.nodes[t.node()]
	}
}

// choose returns the index of the target of n.
func (m *machine) choose(n *node) int {
	yes := false
	switch n.kind {
	case bySearch:
		return n.find(m.a)
	case bySetK:
		yes = m.a&n.k != 0
	case byEqualX:
		yes = m.a == m.x
	case byGreaterX:
		yes = m.a > m.x
	case byGreaterEqualX:
		yes = m.a >= m.x
	case bySetX:
		yes = m.a&m.x != 0
	}
	if yes {
		return 1
	}
	return 0
}

// execute executes an instruction that is no jump and no RET. It reports false for a
// division by 0, which ends the run with the verdict 0 (Linux: bpf_convert_filter).
func (m *machine) execute(i *Instruction, d *Data) bool {
	switch i.Code {
	case loadABS:
		m.a = d.word(uint8(i.K / 4))
	case loadIMM:
		m.a = i.K
	case loadMEM:
		m.a = m.memory[i.K%words]
	case loadLEN:
		m.a = dataSize
	case loadXIMM:
		m.x = i.K
	case loadXMEM:
		m.x = m.memory[i.K%words]
	case loadXLEN:
		m.x = dataSize
	case store:
		m.memory[i.K%words] = m.a
	case storeX:
		m.memory[i.K%words] = m.x
	case copyToX:
		m.x = m.a
	case copyToA:
		m.a = m.x
	case neg:
		m.a = -m.a
	default:
		return m.calculate(i)
	}
	return true
}

// calculate executes an arithmetic instruction with two operands.
func (m *machine) calculate(i *Instruction) bool {
	operand := i.K
	if i.Code&sourceX != 0 {
		operand = m.x
	}
	switch i.Code &^ sourceX {
	case add:
		m.a += operand
	case sub:
		m.a -= operand
	case mul:
		m.a *= operand
	case or:
		m.a |= operand
	case and:
		m.a &= operand
	case xor:
		m.a ^= operand
	case lsh:
		m.a <<= operand % 32
	case rsh:
		m.a >>= operand % 32
	case div:
		if operand == 0 {
			return false
		}
		m.a /= operand
	}
	return true
}
