//go:build faultinject

package guard

import "sync/atomic"

var injector atomic.Pointer[func()]

// Point is a place where the function of SetInjector may panic.
func Point() {
	if f := injector.Load(); f != nil {
		(*f)()
	}
}

// SetInjector sets the function that every Point calls, on any goroutine. nil removes
// it.
func SetInjector(f func()) {
	if f == nil {
		injector.Store(nil)
		return
	}
	injector.Store(&f)
}
