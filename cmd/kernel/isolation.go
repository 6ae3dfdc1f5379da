package main

import (
	"slowpath/arch/amd64"
	"slowpath/boot"
	"slowpath/boot/commandline"
	"slowpath/goos"
)

// isolated returns the CPUs that no program is placed on unless it asks for them (isolcpus=), one
// bit each.
func (k *kernel) isolated() uint64 { return k.options.Isolated.Of(boot.CPUs()) }

// noHZ returns the CPUs that run a single task without a tick (nohz_full=), one bit each.
func (k *kernel) noHZ() uint64 { return k.options.NoHZ.Of(boot.CPUs()) }

// logIsolation logs which CPUs the options isolate.
func (k *kernel) logIsolation() {
	isolated, noHZ := k.options.Isolated, k.options.NoHZ
	if (isolated|noHZ)&1 != 0 {
		k.log.Infof("CPU 0 serves the kernel's own work, so isolcpus= and nohz_full= do not apply to it.")
	}
	if noHZ != 0 {
		k.log.Infof("CPUs without a tick for a single task: %s", commandline.CPUs(k.noHZ()))
	}
}

// noHZEntrance returns the function that enters user mode on the CPUs of nohz_full=, or nil if
// there are none.
func (k *kernel) noHZEntrance() func(f *amd64.Frame) int {
	if k.noHZ() == 0 {
		return nil
	}
	return goos.EnterUser
}
