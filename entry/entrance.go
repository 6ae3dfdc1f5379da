//go:build !kernel

package entry

import "slowpath/arch/amd64"

// entrance enters user mode: with amd64.EnterUser, or with a model of it on the
// host.
type entrance struct{ model func(f *amd64.Frame) int }

// SetModel makes the loop call model instead of amd64.EnterUser. It must be
// called before Run.
func (e *entrance) SetModel(model func(f *amd64.Frame) int) { e.model = model }

func (e entrance) enter(f *amd64.Frame) int {
	if e.model != nil {
		return e.model(f)
	}
	return amd64.EnterUser(f)
}
