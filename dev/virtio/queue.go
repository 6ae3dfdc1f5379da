package virtio

import "encoding/binary"

// queueSize is the number of entries of each queue. It must be a power of two.
const queueSize = 32

// The layout of a split virtqueue in its page (2.7): the descriptor table, the
// available ring and the used ring. Each ring begins with 16 bits of flags and 16 bits
// of index, which are accessed as one word.
const (
	descriptorSize  = 16
	availableOffset = queueSize * descriptorSize
	usedOffset      = availableOffset + 4 + 2*queueSize
	usedEntrySize   = 8
	ringHeader      = 4
)

// Flags of descriptors and rings.
const (
	descriptorNext  = 1 << 0 // the chain continues
	descriptorWrite = 1 << 1 // the device writes to the buffer

	availableNoInterrupt = 1 << 0
	usedNoNotify         = 1 << 0
)

// queue is the driver's side of a split virtqueue. One goroutine may use it at a time.
type queue struct {
	transport Transport
	index     uint16
	page      Segment

	silent    bool   // interrupts are disabled
	available uint16 // the number of chains offered so far, modulo 2^16
	notified  uint16 // the value of available at the last notification
	used      uint16 // the number of chains taken back so far, modulo 2^16

	// held is true for the heads of the chains that the device has. limit is the
	// number of bytes that the device may write to each.
	held  [queueSize]bool
	limit [queueSize]uint32
}

// newQueue creates and enables a queue of the device with interrupts disabled.
func newQueue(t Transport, index uint16, allocate Allocate) (*queue, error) {
	if limit := t.QueueLimit(index); limit < queueSize {
		return nil, broken("its queue %d has %d entries, fewer than %d", index, limit, queueSize)
	}
	pages, err := allocate(1)
	if err != nil {
		return nil, err
	}
	q := &queue{transport: t, index: index, page: pages[0]}
	clear(q.page.Bytes[:pageSize])
	q.disableInterrupts()
	a := q.page.Address
	t.Enable(index, queueSize, a, a+availableOffset, a+usedOffset)
	return q, nil
}

// describe writes a descriptor.
func (q *queue) describe(i uint16, address uint64, length uint32, flags, next uint16) {
	d := q.page.Bytes[int(i)*descriptorSize:][:descriptorSize]
	binary.LittleEndian.PutUint64(d, address)
	binary.LittleEndian.PutUint32(d[8:], length)
	binary.LittleEndian.PutUint16(d[12:], flags)
	binary.LittleEndian.PutUint16(d[14:], next)
}

// offer gives the device the chain that starts at the descriptor head. The device may
// write writable bytes of it. It may use the chain at once, but may also ignore it
// until notify.
func (q *queue) offer(head uint16, writable uint32) {
	q.held[head], q.limit[head] = true, writable
	slot := availableOffset + ringHeader + 2*int(q.available%queueSize)
	binary.LittleEndian.PutUint16(q.page.Bytes[slot:], head)
	q.available++
	q.publish()
}

// publish stores flags and index of the available ring. Earlier writes are visible to
// the device before it.
func (q *queue) publish() {
	word := uint32(q.available) << 16
	if q.silent {
		word |= availableNoInterrupt
	}
	storeWord(q.page.Bytes, availableOffset, word)
}

// enableInterrupts makes the device interrupt when it has used a chain. The caller
// must call take once more afterwards, because a chain that was used before causes no
// interrupt.
func (q *queue) enableInterrupts() {
	q.silent = false
	q.publish()
}

// disableInterrupts asks the device not to interrupt.
func (q *queue) disableInterrupts() {
	q.silent = true
	q.publish()
}

// unnotified returns the number of chains offered since the last notification.
func (q *queue) unnotified() uint16 { return q.available - q.notified }

// notify notifies the device of the chains that were offered, unless the device has
// disabled notifications.
func (q *queue) notify() {
	q.notified = q.available
	if loadWord(q.page.Bytes, usedOffset)&usedNoNotify == 0 {
		q.transport.Notify(q.index)
	}
}

// take returns the head of a chain that the device has used, and the number of bytes
// that the device has written. ok is false if there is none. It fails with
// [ErrDevice] if the used ring is not valid.
func (q *queue) take() (head uint16, written uint32, ok bool, err error) {
	index := uint16(loadWord(q.page.Bytes, usedOffset) >> 16)
	if index == q.used {
		return 0, 0, false, nil
	}
	if ready, most := index-q.used, q.available-q.used; ready > most {
		return 0, 0, false, broken("queue %d has used %d chains, but was offered %d", q.index, ready, most)
	}
	entry := q.page.Bytes[usedOffset+ringHeader+usedEntrySize*int(q.used%queueSize):]
	id := binary.LittleEndian.Uint32(entry)
	written = binary.LittleEndian.Uint32(entry[4:])
	if id >= queueSize || !q.held[id] {
		return 0, 0, false, broken("queue %d has used chain %d, which was not offered", q.index, id)
	}
	if written > q.limit[id] {
		return 0, 0, false, broken("queue %d has written %d bytes to a buffer of %d", q.index, written, q.limit[id])
	}
	q.held[id] = false
	q.used++
	return uint16(id), written, true, nil
}
