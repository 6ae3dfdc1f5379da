//go:build !kernel

package entry

import "slowpath/arch/amd64"

// entrance is how the loop enters user mode: amd64.EnterUser, or the model that
// stands in for it on the host.
type entrance struct{ model func(f *amd64.Frame) int }

// SetModel makes the loop call model in place of amd64.EnterUser. It is called
// before Run.
func (e *entrance) SetModel(model func(f *amd64.Frame) int) { e.model = model }

func (e entrance) enter(f *amd64.Frame) int {
	if e.model != nil {
		return e.model(f)
	}
	return amd64.EnterUser(f)
}
