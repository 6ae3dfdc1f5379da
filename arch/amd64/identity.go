package amd64

import (
	"encoding/binary"
	"strings"
)

// Identity identifies the CPU in /proc/cpuinfo (SDM vol. 2A, CPUID). Model is the
// brand string, Number the model number.
type Identity struct {
	Vendor, Model            string
	Family, Number, Stepping int
}

// CPUID leaves.
const (
	cpuidSignature = 1
	cpuidBrand     = 0x80000002 // the first of three leaves
)

// Identify returns the identity of the CPU that runs the caller. Any context.
func Identify() Identity {
	_, b, c, d := cpuid(0, 0)
	signature, _, _, _ := cpuid(cpuidSignature, 0)
	i := decodeSignature(signature)
	i.Vendor = string(words(b, d, c))
	if highest, _, _, _ := cpuid(0x80000000, 0); highest >= cpuidBrand+2 {
		var brand []byte
		for leaf := range uint32(3) {
			a, b, c, d := cpuid(cpuidBrand+leaf, 0)
			brand = append(brand, words(a, b, c, d)...)
		}
		i.Model = strings.TrimSpace(strings.TrimRight(string(brand), "\x00"))
	}
	return i
}

// words returns the bytes of registers in little-endian order.
func words(registers ...uint32) []byte {
	var text []byte
	for _, r := range registers {
		text = binary.LittleEndian.AppendUint32(text, r)
	}
	return text
}

// decodeSignature decodes EAX of leaf 1. The extended family is valid only if
// the family is 15, the extended model only if the family is 6 or 15.
func decodeSignature(eax uint32) Identity {
	family, model := int(eax>>8&0xf), int(eax>>4&0xf)
	if family == 6 || family == 15 {
		model += int(eax>>16&0xf) << 4
	}
	if family == 15 {
		family += int(eax >> 20 & 0xff)
	}
	return Identity{Family: family, Number: model, Stepping: int(eax & 0xf)}
}
