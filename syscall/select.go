package syscall

import (
	"math/bits"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/task"
	"slowpath/wait"
)

// selectSets has, for each of the three sets of select(2), the events to wait
// for and the events that put a descriptor into the resulting set (select(2),
// "Correspondence between select() and poll()").
var selectSets = [3]struct{ want, means wait.Events }{
	{wait.Readable | wait.RdBand, wait.Readable | wait.RdBand | wait.Hup | wait.Err},
	{wait.Writable | wait.WrBand, wait.Writable | wait.WrBand | wait.Err},
	{wait.Pri, wait.Pri},
}

// bitSet is an fd_set, as large as the call needs.
type bitSet []byte

func (b bitSet) has(i int) bool { return i/8 < len(b) && b[i/8]&(1<<(i%8)) != 0 }
func (b bitSet) add(i int)      { b[i/8] |= 1 << (i % 8) }

// selection is the state of one select(2) call.
type selection struct {
	t         *task.Task
	count     int
	addresses [3]uint64
	sets      [3]bitSet
	files     []watched
	numbers   []int // descriptors of files
}

// maxSelect bounds the number of descriptors of a call. No descriptor is that
// large (fs.MaxDescriptors).
const maxSelect = 1 << 20

func newSelection(t *task.Task, count uint64, addresses [3]uint64) (*selection, error) {
	if int32(count) < 0 {
		return nil, unix.EINVAL
	}
	s := &selection{t: t, count: int(min(uint32(count), maxSelect)), addresses: addresses}
	long := int(longSize(t)) // the sets are arrays of long
	size := (s.count + 8*long - 1) / (8 * long) * long
	memory, most := t.Kernel().Memory(), int64(2*len(addresses)*size) // the sets, and the results
	if err := memory.Reserve(most); err != nil {
		return nil, err
	}
	defer memory.Unreserve(most)
	for i, address := range addresses {
		if address == 0 {
			continue
		}
		s.sets[i] = make(bitSet, size)
		if err := t.CopyIn(address, s.sets[i]); err != nil {
			return nil, err
		}
	}
	return s, s.collect()
}

// wanted returns the number of bits in the sets.
func (s *selection) wanted() (n int) {
	for _, set := range s.sets {
		for _, b := range set {
			n += bits.OnesCount8(b)
		}
	}
	return n
}

// collect looks up the files of all sets. Errors: EBADF if one is not open, ENOMEM.
func (s *selection) collect() error {
	memory, size := s.t.Kernel().Memory(), int64(s.wanted())*pollBytes
	if err := memory.Reserve(size); err != nil {
		return err
	}
	defer memory.Unreserve(size)
	for number := range s.count {
		var want wait.Events
		for i := range s.sets {
			if s.sets[i].has(number) {
				want |= selectSets[i].want
			}
		}
		if want == 0 {
			continue
		}
		file, err := s.t.FDs.Get(number)
		if err != nil {
			release(s.files)
			return err
		}
		s.files = append(s.files, watched{file: file, want: want})
		s.numbers = append(s.numbers, number)
	}
	return nil
}

// run waits, stores the sets of ready descriptors and returns the number of
// bits in them.
func (s *selection) run(deadline int64) (uint64, error) {
	if _, err := poll(s.t, s.files, deadline); err != nil {
		return 0, err
	}
	count := uint64(0)
	for i := range s.sets {
		if s.sets[i] == nil {
			continue
		}
		result := make(bitSet, len(s.sets[i]))
		for j, number := range s.numbers {
			if s.sets[i].has(number) && s.files[j].ready&selectSets[i].means != 0 {
				result.add(number)
				count++
			}
		}
		if err := s.t.CopyOut(s.addresses[i], result); err != nil {
			return 0, err
		}
	}
	return count, nil
}

func sysSelect(t *task.Task, a *amd64.Args) (uint64, error) {
	deadline, err := readTimevalTimeout(t, a[4])
	if err != nil {
		return 0, err
	}
	s, err := newSelection(t, a[0], [3]uint64{a[1], a[2], a[3]})
	if err != nil {
		return 0, err
	}
	defer release(s.files)
	n, err := s.run(deadline)
	storeLeft(t, a[4], unix.NsecToTimeval(timeLeft(deadline)), copyOutTimeval)
	return n, err
}

// readTimevalTimeout is readTimeout for a struct timeval, which may have more
// than 999999 microseconds.
func readTimevalTimeout(t *task.Task, address uint64) (int64, error) {
	if address == 0 {
		return 0, nil
	}
	v, err := copyInTimeval(t, address)
	if err != nil {
		return 0, err
	}
	if v.Sec < 0 || v.Usec < 0 {
		return 0, unix.EINVAL
	}
	v.Sec, v.Usec = v.Sec+v.Usec/1e6, v.Usec%1e6
	return deadlineIn(clampedTime(timespecOf(v))), nil
}

// sysPselect6 is pselect6(2). Its last argument points to the mask and its
// size.
func sysPselect6(t *task.Task, a *amd64.Args) (uint64, error) {
	deadline, err := readTimeout(t, a[4])
	if err != nil {
		return 0, err
	}
	var mask abi.PselectMask
	if a[5] != 0 {
		if mask, err = load(t, t.Layout.Narrow(), a[5], func(n compat.PselectMask) abi.PselectMask {
			return abi.PselectMask{Set: uint64(n.Set), Size: uint64(n.Size)}
		}); err != nil {
			return 0, err
		}
	}
	s, err := newSelection(t, a[0], [3]uint64{a[1], a[2], a[3]})
	if err != nil {
		return 0, err
	}
	defer release(s.files)
	n, err := withMask(t, mask.Set, mask.Size, func() (uint64, error) { return s.run(deadline) })
	storeLeft(t, a[4], unix.NsecToTimespec(timeLeft(deadline)), copyOutTimespec)
	return n, err
}
