package amd64

import "strings"

// featureWord describes one output register of a CPUID leaf. names lists the names of
// its 32 bits in /proc/cpuinfo (Linux, arch/x86/include/asm/cpufeatures.h), from
// bit 0 on, separated by spaces. "-" marks a bit without a name or a feature that
// the kernel does not enable.
type featureWord struct {
	leaf, sub uint32
	register  int // 0 to 3: EAX, EBX, ECX, EDX
	names     string
}

// featureWords lists the words in the order in which /proc/cpuinfo prints them.
var featureWords = [...]featureWord{
	{1, 0, 3, "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"},
	{0x80000001, 0, 3, "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow"},
	{1, 0, 2, "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor"},
	{0x80000001, 0, 2, "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc mwaitx - -"},
	{7, 0, 1, "fsgsbase tsc_adjust - bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - - rdt_a avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb - avx512pf avx512er avx512cd sha_ni avx512bw avx512vl"},
	{0xd, 1, 0, "xsaveopt xsavec xgetbv1 - - - - - - - - - - - - - - - - - - - - - - - - - - - - -"},
	{7, 0, 2, "- avx512vbmi umip - - waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni avx512_bitalg - avx512_vpopcntdq - - - - - - - rdpid - - cldemote - movdiri movdir64b - - -"},
	{7, 0, 3, "- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - serialize - tsxldtrk - - - - - - avx512_fp16 - - - - flush_l1d arch_capabilities - -"},
}

// FeatureNames returns the names of the CPU's features in /proc/cpuinfo, separated by
// spaces. Call EnableExtendedState first. Any context.
func FeatureNames() string { return featureNames(cpuid, extended.mask) }

// featureNames implements FeatureNames. cpuid executes the CPUID instruction; saved
// holds the components of XCR0 that the kernel saves.
func featureNames(cpuid func(leaf, sub uint32) (eax, ebx, ecx, edx uint32), saved uint64) string {
	basic, _, _, _ := cpuid(0, 0)
	highest, _, _, _ := cpuid(0x80000000, 0)
	var present []string
	for _, w := range featureWords {
		last := basic
		if w.leaf >= 0x80000000 {
			last = highest
		}
		if w.leaf > last {
			continue // CPUID would return the data of another leaf
		}
		a, b, c, d := cpuid(w.leaf, w.sub)
		word := [...]uint32{a, b, c, d}[w.register]
		for bit, name := range strings.Fields(w.names) {
			if word>>bit&1 != 0 && name != "-" && stateSaved(name, saved) {
				present = append(present, name)
			}
		}
	}
	return strings.Join(present, " ")
}

// stateSaved reports whether the kernel saves the registers that a feature uses.
func stateSaved(name string, saved uint64) bool {
	switch {
	case strings.HasPrefix(name, "avx512"):
		return saved&avx512States == avx512States
	case strings.HasPrefix(name, "avx"):
		return saved&StateAVX != 0
	}
	return true
}
