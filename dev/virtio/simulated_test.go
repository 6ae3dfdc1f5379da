package virtio

import (
	"bytes"
	"encoding/binary"
	"sync"
)

// simulated is a console device with the MMIO transport. It processes its queues at
// each notification, as QEMU does, or only in run if late is set.
type simulated struct {
	mu     sync.Mutex
	memory []byte // the machine's memory, which starts at memoryBase
	next   int    // the first page that is not allocated
	irq    chan struct{}
	late   bool
	gone   bool // irq is closed

	magic, version, kind uint32
	features, accepted   uint64
	refuse               bool // FEATURES_OK cannot be set
	stuck                bool // the status cannot be reset
	ports                uint32
	limit                uint32 // the maximum number of entries of a queue

	select_, driverSelect, queueSelect, status uint32
	queues                                     [6]simulatedQueue

	name      string // the name of port 1
	connected bool
	guestOpen bool
	deaf      bool // the host does not read
	out       bytes.Buffer
	in        []byte // bytes from the host for which the guest has no buffer yet
	raised    bool
	spoil     func(q *simulatedQueue, page []byte) // called after each use of a chain
}

const memoryBase = 0x100000

type simulatedQueue struct {
	registers [0x30]byte // the addresses that the driver wrote
	size      uint32
	ready     bool
	seen      uint16 // the number of available chains that were processed
	used      uint16
}

func (q *simulatedQueue) address(register int) uint64 {
	return binary.LittleEndian.Uint64(q.registers[register:])
}

func newSimulated() *simulated {
	return &simulated{
		memory: make([]byte, 128*pageSize), irq: make(chan struct{}, 1),
		magic: mmioMagicValue, version: mmioModern, kind: kindConsole, features: featureVersion1 | featureMultiport | 1,
		ports: 2, limit: 128, name: "link", connected: true,
	}
}

// allocate returns two segments in reverse order, or one for a single page.
func (s *simulated) allocate(pages int) ([]Segment, error) {
	segment := func(first, n int) Segment {
		return Segment{s.memory[first*pageSize : (first+n)*pageSize], uint64(memoryBase + first*pageSize)}
	}
	first := s.next
	s.next += pages
	if pages == 1 {
		return []Segment{segment(first, 1)}, nil
	}
	return []Segment{segment(first+1, pages-1), segment(first, 1)}, nil
}

func (s *simulated) at(address uint64) []byte { return s.memory[address-memoryBase:] }

func (s *simulated) Read8(uint32) uint8     { panic("MMIO registers have 32 bits") }
func (s *simulated) Read16(uint32) uint16   { panic("MMIO registers have 32 bits") }
func (s *simulated) Write8(uint32, uint8)   { panic("MMIO registers have 32 bits") }
func (s *simulated) Write16(uint32, uint16) { panic("MMIO registers have 32 bits") }

func (s *simulated) Read32(offset uint32) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch offset {
	case mmioMagic:
		return s.magic
	case mmioVersion:
		return s.version
	case mmioDeviceID:
		return s.kind
	case mmioDeviceFeatures:
		return uint32(s.features >> (32 * s.select_))
	case mmioQueueLimit:
		return s.limit
	case mmioStatus:
		return s.status
	case mmioInterruptStatus:
		if s.raised {
			return 1
		}
	case mmioConfig + configPorts:
		return s.ports
	}
	return 0
}

func (s *simulated) Write32(offset, v uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case offset == mmioDeviceSelect:
		s.select_ = v
	case offset == mmioDriverSelect:
		s.driverSelect = v
	case offset == mmioDriverFeatures:
		s.accepted |= uint64(v) << (32 * s.driverSelect)
	case offset == mmioQueueSelect:
		s.queueSelect = v
	case offset == mmioQueueSize:
		s.queue().size = v
	case offset == mmioQueueReady:
		s.queue().ready = v == 1
	case offset >= mmioQueueDescriptors && offset < mmioQueueDescriptors+0x30:
		binary.LittleEndian.PutUint32(s.queue().registers[offset-mmioQueueDescriptors:], v)
	case offset == mmioStatus:
		s.setStatus(v)
	case offset == mmioInterruptAck:
		s.raised = false
	case offset == mmioQueueNotify && !s.late:
		s.work()
	}
}

func (s *simulated) queue() *simulatedQueue { return &s.queues[s.queueSelect] }

func (s *simulated) setStatus(v uint32) {
	if s.refuse {
		v &^= statusFeaturesOK
	}
	if !s.stuck || v != 0 {
		s.status = v
	}
}

// run processes all queues.
func (s *simulated) run() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work()
}

// work processes all queues. The caller must hold s.mu.
func (s *simulated) work() {
	if s.status&statusDriverOK == 0 {
		return
	}
	s.each(queueControlTransmit, func(chain [][]byte) (int, bool) { s.answer(chain[0]); return 0, true })
	s.each(queueTransmit, func(chain [][]byte) (int, bool) {
		if s.deaf {
			return 0, false
		}
		for _, b := range chain {
			s.out.Write(b)
		}
		return 0, true
	})
	if !s.guestOpen {
		return
	}
	s.each(queueReceive, func(chain [][]byte) (int, bool) {
		n := copy(chain[0], s.in)
		s.in = s.in[n:]
		return n, n > 0
	})
}

// each passes available chains to the function use until it returns false.
func (s *simulated) each(index int, use func(chain [][]byte) (written int, ok bool)) {
	q := &s.queues[index]
	if !q.ready {
		return
	}
	available, used := s.at(q.address(0x10)), s.at(q.address(0x20))
	for {
		word := loadWord(available, 0)
		if uint16(word>>16) == q.seen {
			return
		}
		head := binary.LittleEndian.Uint16(available[4+2*(uint32(q.seen)%q.size):])
		n, ok := use(s.chain(q, head))
		if !ok {
			return
		}
		q.seen++
		entry := used[4+8*(uint32(q.used)%q.size):]
		binary.LittleEndian.PutUint32(entry, uint32(head))
		binary.LittleEndian.PutUint32(entry[4:], uint32(n))
		q.used++
		if s.spoil != nil && index >= queueReceive {
			s.spoil(q, entry)
		}
		storeWord(used, 0, uint32(q.used)<<16)
		if loadWord(available, 0)&availableNoInterrupt == 0 {
			s.raise()
		}
	}
}

func (s *simulated) raise() {
	s.raised = true
	if !s.gone {
		wake(s.irq)
	}
}

func (s *simulated) chain(q *simulatedQueue, head uint16) [][]byte {
	var chain [][]byte
	for {
		d := s.at(q.address(0))[16*int(head):]
		address, length := binary.LittleEndian.Uint64(d), binary.LittleEndian.Uint32(d[8:])
		chain = append(chain, s.at(address)[:length])
		if binary.LittleEndian.Uint16(d[12:])&descriptorNext == 0 {
			return chain
		}
		head = binary.LittleEndian.Uint16(d[14:])
	}
}

// tell sends a control message.
func (s *simulated) tell(m message, tail string) {
	s.each(queueControlReceive, func(chain [][]byte) (int, bool) {
		if m.event == 0 {
			return 0, false // the message is sent
		}
		m.put(chain[0])
		m.event = 0
		return messageSize + copy(chain[0][messageSize:], tail), true
	})
}

// answer answers a control message of the driver as QEMU does.
func (s *simulated) answer(data []byte) {
	m, _ := parseMessage(data)
	switch m {
	case message{0, eventDeviceReady, 1}:
		s.tell(message{0, eventPortAdd, 1}, "")
		s.tell(message{portNumber, eventPortAdd, 1}, "")
	case message{portNumber, eventPortReady, 1}:
		s.tell(message{portNumber, eventPortName, 1}, s.name+"\x00")
		if s.connected {
			s.tell(message{portNumber, eventPortOpen, 1}, "")
		}
	case message{portNumber, eventPortOpen, 1}:
		s.guestOpen = true
	}
}

// send makes the host send bytes.
func (s *simulated) send(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in = append(s.in, data...)
	s.work()
}

func (s *simulated) sent() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.out.Bytes())
}

func (s *simulated) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *simulated) waitIRQ() bool { _, ok := <-s.irq; return ok }
