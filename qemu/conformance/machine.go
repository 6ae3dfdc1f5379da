package main

// machine is the machine for which a suite's programs are built.
type machine uint8

const (
	amd64 machine = iota
	i386
)

// suffix is the end of the names of the machine's suites.
func (m machine) suffix() string { return [...]string{"", "-i386"}[m] }

// goArch is GOARCH.
func (m machine) goArch() string { return [...]string{"amd64", "386"}[m] }

// compilerFlag is gcc's flag.
func (m machine) compilerFlag() string { return [...]string{"-m64", "-m32"}[m] }
