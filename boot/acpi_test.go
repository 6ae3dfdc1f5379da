package boot

import (
	"encoding/binary"
	"testing"
)

var le = binary.LittleEndian

// firmware is simulated physical memory, from address 0, that holds ACPI tables.
type firmware []byte

func (f firmware) read(a uint64, n uint32) []byte {
	if a == 0 || a+uint64(n) > uint64(len(f)) {
		return nil
	}
	return f[a : a+uint64(n)]
}

func (f firmware) table(at int, signature string, body []byte) {
	copy(f[at:], signature)
	le.PutUint32(f[at+4:], uint32(headerSize+len(body)))
	copy(f[at+headerSize:], body)
}

// qemuTables returns tables like QEMU's: an RSDP at address 16, an XSDT, and a MADT.
// The MADT has two enabled CPUs, one disabled CPU, two I/O APICs, and an override
// that maps ISA interrupt 0 to pin 2.
func qemuTables() firmware {
	f := make(firmware, 1024)
	copy(f[16:], "RSD PTR ")
	f[16+15] = 2
	le.PutUint64(f[16+24:], 128)
	f.table(128, "XSDT", append(le.AppendUint64(nil, 256), le.AppendUint64(nil, 512)...))
	f.table(256, "FACP", nil)
	var madt []byte
	madt = append(madt, 0, 0, 0xe0, 0xfe, 1, 0, 0, 0)
	madt = append(madt, 0, 8, 0, 0, 1, 0, 0, 0)
	madt = append(madt, 0, 8, 1, 5, 0, 0, 0, 0)
	madt = append(madt, 0, 8, 2, 7, 1, 0, 0, 0)
	madt = append(madt, 1, 12, 0, 0, 0, 0x10, 0xc0, 0xfe, 0, 0, 0, 0)
	madt = append(madt, 1, 12, 1, 0, 0, 0x20, 0xc0, 0xfe, 24, 0, 0, 0)
	madt = append(madt, 2, 10, 0, 0, 2, 0, 0, 0, 0, 0)
	f.table(512, "APIC", madt)
	return f
}

func TestEnabledCPUsAndFirstIOAPICAreFound(t *testing.T) {
	var got acpiTables
	got.parse(16, qemuTables().read)
	if got.cpuCount != 2 || got.cpus[0] != 0 || got.cpus[1] != 7 {
		t.Errorf("got %d CPUs with the APIC IDs %v, want 2 with the IDs 0 and 7", got.cpuCount, got.cpus)
	}
	if got.ioapic != 0xfec01000 || got.pins[0] != 2 || got.pins[4] != 4 {
		t.Errorf("the I/O APIC is at %#x with the pins %v, want 0xfec01000 with interrupt 0 at pin 2 and 4 at pin 4", got.ioapic, got.pins)
	}
}

func TestDefaultsWithoutValidACPI(t *testing.T) {
	for name, root := range map[string]uint64{"no RSDP address": 0, "RSDP beyond memory": 1 << 40, "no RSDP signature": 40} {
		var got acpiTables
		got.parse(root, qemuTables().read)
		if got.cpuCount != 1 || got.ioapic != defaultIOAPIC {
			t.Errorf("%s: got %+v, want one CPU and the default I/O APIC", name, got)
		}
	}
}

func FuzzACPI(f *testing.F) {
	f.Add([]byte(qemuTables()), uint64(16))
	f.Fuzz(func(t *testing.T, memory []byte, root uint64) {
		var got acpiTables
		got.parse(root, firmware(memory).read)
		if got.cpuCount < 1 || got.cpuCount > len(got.cpus) {
			t.Fatalf("got %d CPUs, want 1 to %d", got.cpuCount, len(got.cpus))
		}
	})
}
