package amd64

import "testing"

func TestDecodeSignatureUsesExtendedFields(t *testing.T) {
	for eax, want := range map[uint32]Identity{
		0x000806ec: {Family: 6, Number: 142, Stepping: 12}, // Intel Whiskey Lake
		0x00800f12: {Family: 23, Number: 1, Stepping: 2},   // AMD Zen
		0x00000543: {Family: 5, Number: 4, Stepping: 3},    // the extended fields are not used
	} {
		if got := decodeSignature(eax); got != want {
			t.Errorf("%#x: %+v, want %+v", eax, got, want)
		}
	}
}
