package virtio

import "encoding/binary"

// queueSize is the number of entries of every queue here, a power of two.
const queueSize = 32

// Where the parts of a split virtqueue lie in its page (2.7): the descriptor
// table, the available ring and the used ring. Each ring begins with 16 bits
// of flags and 16 bits of index, which are read and written as one word.
const (
	descriptorSize  = 16
	availableOffset = queueSize * descriptorSize
	usedOffset      = availableOffset + 4 + 2*queueSize
	usedEntrySize   = 8
	ringHeader      = 4
)

// Flags of descriptors and rings.
const (
	descriptorNext  = 1 << 0 // the chain goes on
	descriptorWrite = 1 << 1 // the device writes

	availableNoInterrupt = 1 << 0
	usedNoNotify         = 1 << 0
)

// queue is one split virtqueue, seen from the driver. One goroutine at a time
// may use it.
type queue struct {
	transport Transport
	index     uint16
	page      Segment

	silent    bool   // the device shall not interrupt
	available uint16 // how many chains were ever offered, modulo 2^16
	published uint16 // up to which the device was notified
	used      uint16 // how many were ever taken back

	// held tells of each head whether the device has its chain, and limit how
	// many bytes the device may write into it.
	held  [queueSize]bool
	limit [queueSize]uint32
}

// newQueue enables a queue of the device, with interrupts off.
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
	q.interrupt(false)
	a := q.page.Address
	t.Enable(index, queueSize, a, a+availableOffset, a+usedOffset)
	return q, nil
}

// describe fills a descriptor.
func (q *queue) describe(i uint16, address uint64, length uint32, flags, next uint16) {
	d := q.page.Bytes[int(i)*descriptorSize:][:descriptorSize]
	binary.LittleEndian.PutUint64(d, address)
	binary.LittleEndian.PutUint32(d[8:], length)
	binary.LittleEndian.PutUint16(d[12:], flags)
	binary.LittleEndian.PutUint16(d[14:], next)
}

// offer gives the device the chain that begins with a descriptor; writable is
// how many bytes of it the device may write. The device may use it at once,
// but need not look before notify.
func (q *queue) offer(head uint16, writable uint32) {
	q.held[head], q.limit[head] = true, writable
	slot := availableOffset + ringHeader + 2*int(q.available%queueSize)
	binary.LittleEndian.PutUint16(q.page.Bytes[slot:], head)
	q.available++
	q.publish()
}

// publish stores flags and index of the available ring: all that was written
// before is visible to the device by then.
func (q *queue) publish() {
	word := uint32(q.available) << 16
	if q.silent {
		word |= availableNoInterrupt
	}
	storeWord(q.page.Bytes, availableOffset, word)
}

// interrupt says whether the device shall interrupt when it has used a chain.
// After turning it on, take must be asked once more: what was used just before
// brings no interrupt.
func (q *queue) interrupt(on bool) {
	q.silent = !on
	q.publish()
}

// unnotified returns how many chains the device need not have seen.
func (q *queue) unnotified() uint16 { return q.available - q.published }

// notify tells the device of what was offered, unless it asks not to be told.
func (q *queue) notify() {
	q.published = q.available
	if loadWord(q.page.Bytes, usedOffset)&usedNoNotify == 0 {
		q.transport.Notify(q.index)
	}
}

// take returns a chain that the device has used, and how many bytes it has
// written into it; ok is false if there is none.
func (q *queue) take() (head uint16, written uint32, ok bool, err error) {
	index := uint16(loadWord(q.page.Bytes, usedOffset) >> 16)
	if index == q.used {
		return 0, 0, false, nil
	}
	if ready, most := index-q.used, q.available-q.used; ready > most {
		return 0, 0, false, broken("queue %d has used %d chains of %d", q.index, ready, most)
	}
	entry := q.page.Bytes[usedOffset+ringHeader+usedEntrySize*int(q.used%queueSize):]
	id := binary.LittleEndian.Uint32(entry)
	written = binary.LittleEndian.Uint32(entry[4:])
	if id >= queueSize || !q.held[id] {
		return 0, 0, false, broken("queue %d has used chain %d, which it does not have", q.index, id)
	}
	if written > q.limit[id] {
		return 0, 0, false, broken("queue %d has %d bytes where %d fit", q.index, written, q.limit[id])
	}
	q.held[id] = false
	q.used++
	return uint16(id), written, true, nil
}
