package fstest

import "golang.org/x/sys/unix"

// PartialMemory is user memory of Size bytes of which only the first Good bytes can be
// accessed. It implements fs.Sink and fs.Source.
type PartialMemory struct{ Size, Good int }

// Get implements fs.Source. The bytes are unspecified. Error: EFAULT.
func (p *PartialMemory) Get(b []byte) (int, error) { return p.move(len(b)) }

// Put implements fs.Sink. Error: EFAULT.
func (p *PartialMemory) Put(b []byte) (int, error) { return p.move(len(b)) }

// Remaining implements fs.Sink and fs.Source.
func (p *PartialMemory) Remaining() int { return p.Size }

func (p *PartialMemory) move(n int) (int, error) {
	done := min(n, p.Good)
	p.Size -= done
	p.Good -= done
	if done < n {
		return done, unix.EFAULT
	}
	return done, nil
}
