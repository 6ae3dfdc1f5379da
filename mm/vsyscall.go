package mm

import (
	"slowpath/arch/amd64"
	"slowpath/mm/frame"
)

// MapVsyscall maps a page at VsyscallPage into every address space that is made later:
// readable for programs, and not executable. The upper levels of the kernel's tables forbid all
// accesses of programs, so the address spaces get others for the last 512 GiB, whose other
// entries are those of the kernel. It is called once, before the first program, and may sleep.
// Error: ENOMEM.
func (m *Memory) MapVsyscall(contents []byte) error {
	const last = len(m.kernelHalf) - 1
	page, err := m.AllocateZeroed()
	if err != nil {
		return err
	}
	copy(m.Bytes(page), contents)
	leaf := amd64.PTE(page.Address()) | amd64.Present | amd64.User | amd64.NoExecute
	lower := uint64(leaf)
	for level := amd64.LevelPT; level < amd64.LevelPML4; level++ {
		n, err := m.AllocateZeroed()
		if err != nil {
			return err
		}
		t := m.table(n)
		if level == amd64.LevelPML4-1 {
			kernel := m.table(frame.Number(amd64.PTE(m.kernelHalf[last]).Address() >> frame.Shift))
			for i := range t {
				t[i].Store(kernel[i].Load())
			}
		}
		t[amd64.Index(VsyscallPage, level)].Store(lower)
		lower = uint64(amd64.PTE(n.Address()) | amd64.Present | amd64.Writable | amd64.User)
	}
	m.kernelHalf[last] = lower
	return nil
}
