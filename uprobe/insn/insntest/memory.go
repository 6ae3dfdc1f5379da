package insntest

import (
	"encoding/binary"
	"errors"
)

// ErrFault is the error of an access outside a Memory.
var ErrFault = errors.New("the address is not mapped")

// Memory is memory for insn.Instruction.Emulate: Data at the address Start.
type Memory struct {
	Start uint64
	Data  []byte
}

func (m Memory) at(address uint64, size int) ([]byte, error) {
	if offset := address - m.Start; offset <= uint64(len(m.Data)-size) {
		return m.Data[offset:][:size], nil
	}
	return nil, ErrFault
}

// Load implements insn.Memory.
func (m Memory) Load(address uint64, size int) (uint64, error) {
	data, err := m.at(address, size)
	var word [8]byte
	copy(word[:], data)
	return binary.LittleEndian.Uint64(word[:]), err
}

// Store implements insn.Memory.
func (m Memory) Store(address uint64, size int, value uint64) error {
	data, err := m.at(address, size)
	if err != nil {
		return err
	}
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], value)
	copy(data, word[:])
	return nil
}
