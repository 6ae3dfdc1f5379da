package abi

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// memory is user memory at the addresses from 0. A copy beyond its end is
// EFAULT.
type memory struct{ bytes [512]byte }

func (m *memory) part(address uint64, n int) ([]byte, error) {
	if address > uint64(len(m.bytes)) || uint64(n) > uint64(len(m.bytes))-address {
		return nil, unix.EFAULT
	}
	return m.bytes[address:][:n], nil
}

func (m *memory) CopyIn(address uint64, p []byte) error {
	from, err := m.part(address, len(p))
	copy(p, from)
	return err
}

func (m *memory) CopyOut(address uint64, p []byte) error {
	to, err := m.part(address, len(p))
	copy(to, p)
	return err
}

func TestCopyOutWritesTheBytesThatCopyInReads(t *testing.T) {
	m := new(memory)
	want := Flock{Type: -2, Start: 0x1122334455667788, PID: 7}
	if err := CopyOut(m, 8, want); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.bytes[:24], []byte{
		0, 0, 0, 0, 0, 0, 0, 0, // in front of it
		0xfe, 0xff, 0, 0, 0, 0, 0, 0,
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
	}) {
		t.Errorf("the memory has % x", m.bytes[:24])
	}
	if got, err := CopyIn[Flock](m, 8); got != want || err != nil {
		t.Errorf("CopyIn: %+v, %v", got, err)
	}
}

func TestCopiesOfSlicesMoveEveryElement(t *testing.T) {
	m := new(memory)
	want := []uint32{1, 2, 0xffffffff}
	if err := CopyOutSlice(m, 4, want); err != nil {
		t.Fatal(err)
	}
	got := make([]uint32, 3)
	if err := CopyInSlice(m, 4, got); err != nil || got[0] != 1 || got[1] != 2 || got[2] != 0xffffffff {
		t.Errorf("CopyInSlice: %v, %v", got, err)
	}
	if err := CopyOutSlice[uint64](m, 0, nil); err != nil {
		t.Errorf("no elements: %v", err)
	}
}

func TestCopiesFailWithEFAULT(t *testing.T) {
	m := new(memory)
	if _, err := CopyIn[uint64](m, 505); err != unix.EFAULT {
		t.Errorf("CopyIn: %v", err)
	}
	if err := CopyOut(m, 505, uint64(0)); err != unix.EFAULT {
		t.Errorf("CopyOut: %v", err)
	}
	if err := CopyInSlice(m, 500, make([]uint32, 4)); err != unix.EFAULT {
		t.Errorf("CopyInSlice: %v", err)
	}
	if err := CopyOutSlice(m, 500, make([]uint32, 4)); err != unix.EFAULT {
		t.Errorf("CopyOutSlice: %v", err)
	}
}

func TestCopiesDoNotAllocate(t *testing.T) {
	var m UserMemory = new(memory)
	var array [4]unix.PollFd
	for name, f := range map[string]func(){
		"CopyIn":       func() { CopyIn[Statx](m, 0) },
		"CopyIn int32": func() { CopyIn[int32](m, 0) },
		"CopyOut":      func() { CopyOut(m, 0, Siginfo{Signo: 1}) },
		"CopyOut int":  func() { CopyOut(m, 0, int32(5)) },
		"CopyInSlice":  func() { var local [4]Iovec; CopyInSlice(m, 0, local[:]) },
		"CopyOutSlice": func() { CopyOutSlice(m, 0, array[:]) },
		"Bytes":        func() { v := Stack{SP: 1}; copy(target[:], Bytes(&v)) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

var target [24]byte

func TestViewSharesTheBytes(t *testing.T) {
	p := Bytes(new([4]uint64))
	View[Stack](p[8:]).Size = 0x55
	if p[24] != 0x55 {
		t.Errorf("the bytes are % x", p)
	}
	for name, q := range map[string][]byte{"short": p[16:], "misaligned": p[4:]} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("View accepts bytes that are %s", name)
				}
			}()
			View[Stack](q)
		}()
	}
}

func TestCopyOutRefusesAnInt(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("CopyOut took an int, whose size is not that of C's int")
		}
	}()
	CopyOut(new(memory), 0, 1)
}

func TestSiginfoMembersShareOneMemory(t *testing.T) {
	var i Siginfo
	i.Fields.Child().Status = 7
	i.Fields.Kill().PID = 3
	if rt := i.Fields.RT(); rt.PID != 3 || rt.Value != 7 {
		t.Errorf("the member for sigqueue is %+v", rt)
	}
	i = Siginfo{}
	i.Fields.Sys().Arch = 5
	if i.Fields.Fault().Pad[2] != 0 || i.Fields.Child().Status != 0 || i.Fields.Child().Pad != 5 {
		t.Errorf("the fields are %x", i.Fields)
	}
}

func BenchmarkCopyOut(b *testing.B) {
	var m UserMemory = new(memory)
	for b.Loop() {
		CopyOut(m, 0, unix.Timespec{Sec: 1, Nsec: 2})
	}
}
