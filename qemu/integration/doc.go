// Package integration holds the tests that need QEMU: each runs the same
// command on the host's Linux and on Slowpath, and expects the same output and
// exit code. make test builds what they need and runs them.
package integration
