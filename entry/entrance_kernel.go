//go:build kernel

package entry

import "slowpath/arch/amd64"

// entrance is how the loop enters user mode. The kernel is built with the tag
// kernel, which makes it a direct call: through a function value each system
// call takes eight instructions more.
type entrance struct{}

func (entrance) enter(f *amd64.Frame) int { return amd64.EnterUser(f) }
