package mm_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
	"slowpath/mm/frame"
	"slowpath/mm/mmtest"
)

func TestAllocateKeepsKernelReserve(t *testing.T) {
	memory, machine := mmtest.New(t, 300)
	var held []frame.Number
	for {
		n, err := memory.Allocate()
		if err == unix.ENOMEM {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, n)
	}
	if left := machine.FreeCount(); left != 8 {
		t.Errorf("%d frames are left for the kernel, want the reserve of 8", left)
	}
	if s := memory.Stats(); s.Available != 0 || s.Free != 8 || s.Total != 299 {
		t.Errorf("stats %+v", s)
	}
	memory.PutAll(held)
	memory.Drain()
	if free := machine.FreeCount(); free != 298 {
		t.Errorf("%d frames are free after Drain, want all but the zero page", free)
	}
}

func TestAllocateZeroed(t *testing.T) {
	memory, _ := mmtest.New(t, 300)
	n, err := memory.AllocateZeroed()
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range memory.Bytes(n) {
		if b != 0 {
			t.Fatalf("byte %d is %#x", i, b)
		}
	}
	memory.Get(n)
	memory.Put(n)
	if memory.Refs(n) != 1 {
		t.Errorf("%d references, want 1", memory.Refs(n))
	}
	memory.Put(n)
}

func TestDoubleFreePanics(t *testing.T) {
	memory, _ := mmtest.New(t, 300)
	n, err := memory.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	memory.Put(n)
	defer func() {
		if recover() == nil {
			t.Error("a double free did not panic")
		}
	}()
	memory.Put(n)
}

func TestZeroPageIsNotReferenceCounted(t *testing.T) {
	memory, _ := mmtest.New(t, 300)
	for range 10 {
		memory.Put(memory.Zero())
	}
	for _, b := range memory.Bytes(memory.Zero()) {
		if b != 0 {
			t.Fatal("the zero page has a non-zero byte")
		}
	}
}

func TestNewWithoutMemoryFails(t *testing.T) {
	_, machine := mmtest.New(t, 300)
	machine.Limit(0)
	if _, err := mm.New(mm.Config{Machine: machine}); err != unix.ENOMEM {
		t.Errorf("New without memory returned %v, want ENOMEM", err)
	}
}
