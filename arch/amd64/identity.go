package amd64

import (
	"encoding/binary"
	"strings"
)

// Identity is what CPUID tells about the model of the CPU (SDM vol. 2A, CPUID),
// for /proc/cpuinfo.
type Identity struct {
	Vendor, Model            string
	Family, Number, Stepping int
}

// The leaves of the identification.
const (
	cpuidSignature = 1
	cpuidBrand     = 0x80000002 // and the two that follow
)

// Identify reads the identity of the CPU that runs the caller.
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

// words puts registers behind each other as text.
func words(registers ...uint32) []byte {
	var text []byte
	for _, r := range registers {
		text = binary.LittleEndian.AppendUint32(text, r)
	}
	return text
}

// decodeSignature reads leaf 1's EAX: the extended family counts only with
// family 15, the extended model with 6 and 15.
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
