// Package integration has the tests that need QEMU. Most of them run the same
// command on the host's Linux and on Slowpath and require the same output and exit
// code. make test builds what they need and runs them.
package integration
