//go:build !faultinject

package guard

// Point is a place where a kernel that was built with the tag faultinject may panic on
// purpose.
func Point() {}
