package hostkernel

import (
	"slices"

	"slowpath/fuzz/program"
)

// Minimize returns a program with fewer instructions that fails too, and its error.
// attempts is how often a program must succeed to count as one that does not fail.
func Minimize(c Config, p *program.Program, attempts int) (*program.Program, error) {
	fails := func(p *program.Program) error {
		for range attempts {
			k, err := New(c)
			if err != nil {
				return err
			}
			if err := k.Run(p); err != nil {
				return err
			}
		}
		return nil
	}
	last := fails(p)
	if last == nil {
		return p, nil
	}
	for part := 16; part > 0; part /= 2 {
		for routine := range p.Routines {
			for from := len(p.Routines[routine]) - part; from >= 0; from -= part {
				smaller := &program.Program{Routines: slices.Clone(p.Routines)}
				smaller.Routines[routine] = slices.Delete(slices.Clone(p.Routines[routine]), from, from+part)
				if err := fails(smaller); err != nil {
					p, last = smaller, err
				}
			}
		}
	}
	return p, last
}
