//go:build !faultinject

package syscall

// faultCalls is empty: see fault_injection.go.
var faultCalls []Row
