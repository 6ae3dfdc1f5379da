package tracespec

import "encoding/binary"

// writer appends numbers to a buffer.
type writer struct{ buffer []byte }

func (w *writer) number(n uint64) { w.buffer = binary.AppendUvarint(w.buffer, n) }

func (w *writer) bytes(b []byte) {
	w.number(uint64(len(b)))
	w.buffer = append(w.buffer, b...)
}

func (w *writer) signed(n int64) { w.buffer = binary.AppendVarint(w.buffer, n) }

// captured appends a capture that is not missing.
func (w *writer) captured(b []byte) {
	w.number(uint64(len(b)) + 1)
	w.buffer = append(w.buffer, b...)
}

func (w *writer) flag(b bool) {
	n := byte(0)
	if b {
		n = 1
	}
	w.buffer = append(w.buffer, n)
}

func (w *writer) value(v *Value) {
	w.number(uint64(v.Source))
	w.number(uint64(v.Index))
	w.number(uint64(v.Size))
	w.number(uint64(v.Offset))
	w.number(v.Number)
}

func (w *writer) ops(ops []Op) {
	w.number(uint64(len(ops)))
	for i := range ops {
		o := &ops[i]
		w.number(uint64(o.Kind))
		w.flag(o.When.Success)
		w.flag(o.When.Except)
		w.number(uint64(o.When.Argument))
		w.number(o.When.Mask)
		w.number(uint64(len(o.When.Values)))
		for _, v := range o.When.Values {
			w.number(v)
		}
		w.value(&o.Address)
		w.value(&o.Count)
		w.number(uint64(o.Unit))
		w.number(uint64(o.Max))
		w.number(uint64(o.Offset))
	}
}

func (w *writer) injection(i *Injection) {
	w.number(uint64(len(i.Numbers)))
	for _, n := range i.Numbers {
		w.number(uint64(n))
	}
	w.flag(i.Replace)
	for _, n := range [...]uint64{i.First, i.Last, i.Step, uint64(i.Result), uint64(i.Signal), i.DelayEnter, i.DelayExit} {
		w.number(n)
	}
}

// reader reads what a writer has appended. After a mistake bad is set and all results are
// zero.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.data)
	r.skip(size)
	return n
}

func (r *reader) signed() int64 {
	n, size := binary.Varint(r.data)
	r.skip(size)
	return n
}

// skip skips a number of size bytes. size is not positive if the number is damaged, which
// is then 0.
func (r *reader) skip(size int) {
	if size <= 0 {
		r.bad, r.data = true, nil
		return
	}
	r.data = r.data[size:]
}

// limited reads a number of at most limit.
func (r *reader) limited(limit uint64) uint64 {
	n := r.number()
	if n > limit {
		r.bad, r.data = true, nil
		return 0
	}
	return n
}

func (r *reader) int() int { return int(r.limited(1 << 30)) }

func (r *reader) small() uint32 { return uint32(r.limited(1<<32 - 1)) }

func (r *reader) byte() uint8 { return uint8(r.limited(255)) }

func (r *reader) flag() bool { return r.limited(1) == 1 }

// count reads the number of elements that follow, each of which has at least a byte.
func (r *reader) count(limit int) int {
	return int(r.limited(uint64(min(limit, len(r.data)))))
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.data)) {
		r.bad, r.data = true, nil
		return nil
	}
	b := r.data[:n:n]
	r.data = r.data[n:]
	return b
}

func (r *reader) bytes() []byte { return r.take(r.number()) }

// captured reads a capture, nil if it is missing.
func (r *reader) captured() []byte {
	if n := r.number(); n > 0 {
		return r.take(n - 1)
	}
	return nil
}

func (r *reader) value() Value {
	return Value{Source: Source(r.byte()), Index: r.byte(), Size: r.byte(), Offset: r.small(), Number: r.number()}
}

func (r *reader) ops() (ops []Op) {
	for range r.count(MaxOps) {
		o := Op{Kind: Kind(r.byte())}
		o.When.Success, o.When.Except, o.When.Argument, o.When.Mask = r.flag(), r.flag(), r.byte(), r.number()
		for range r.count(MaxOps) {
			o.When.Values = append(o.When.Values, r.number())
		}
		o.Address, o.Count, o.Unit, o.Max, o.Offset = r.value(), r.value(), r.small(), r.small(), r.small()
		ops = append(ops, o)
	}
	return ops
}

func (r *reader) injection() (i Injection) {
	for range r.count(MaxCalls) {
		i.Numbers = append(i.Numbers, r.int())
	}
	i.Replace = r.flag()
	i.First, i.Last, i.Step, i.Result = r.number(), r.number(), r.number(), int64(r.number())
	i.Signal, i.DelayEnter, i.DelayExit = r.int(), r.number(), r.number()
	return i
}
