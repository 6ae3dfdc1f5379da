package boot

import "slowpath/arch/amd64"

// acpiTables is what the kernel needs from ACPI: the CPUs and the I/O APIC, both
// from the MADT (ACPI 6.5, 5.2.12).
type acpiTables struct {
	root uint64 // physical address of the RSDP

	cpus     [amd64.MaxCPUs]uint32 // local APIC IDs
	cpuCount int
	ioapic   uint64
	ioapicOK bool
	// pins maps ISA interrupts to inputs of the I/O APIC.
	pins [16]uint32
}

// defaultIOAPIC is the physical address of the I/O APIC if there is no MADT.
const defaultIOAPIC = 0xfec00000

// physicalReader returns n bytes of physical memory at a, or nil if there is no
// such memory. Tests pass one that reads from a slice.
type physicalReader func(a uint64, n uint32) []byte

// find fills the tables from the RSDP at a physical address. Without a valid
// MADT there is one CPU, and the I/O APIC at its default address.
func (t *acpiTables) find(root uint64) { t.parse(root, readPhysical) }

func readPhysical(a uint64, n uint32) []byte {
	if a == 0 || a+uint64(n) > directMapped {
		return nil
	}
	return physical(Range{a, a + uint64(n)})
}

func (t *acpiTables) parse(root uint64, read physicalReader) {
	t.ioapic = defaultIOAPIC
	for i := range t.pins {
		t.pins[i] = uint32(i)
	}
	if madt := findMADT(root, read); madt != nil {
		t.parseMADT(madt)
	}
	t.cpuCount = max(t.cpuCount, 1)
}

const (
	rsdpSize    = 36
	headerSize  = 36
	maxACPISize = 1 << 20
)

func field16(b []byte, at int) uint16 { return uint16(b[at]) | uint16(b[at+1])<<8 }
func field32(b []byte, at int) uint32 { return uint32(field16(b, at)) | uint32(field16(b, at+2))<<16 }
func field64(b []byte, at int) uint64 { return uint64(field32(b, at)) | uint64(field32(b, at+4))<<32 }

// findMADT follows RSDP and RSDT or XSDT to the table "APIC".
func findMADT(root uint64, read physicalReader) []byte {
	rsdp := read(root, rsdpSize)
	if rsdp == nil || string(rsdp[:8]) != "RSD PTR " {
		return nil
	}
	list, width := readTable(uint64(field32(rsdp, 16)), read), 4
	if revision := rsdp[15]; revision >= 2 && field64(rsdp, 24) != 0 {
		list, width = readTable(field64(rsdp, 24), read), 8
	}
	for o := headerSize; o+width <= len(list); o += width {
		a := uint64(field32(list, o))
		if width == 8 {
			a = field64(list, o)
		}
		if t := readTable(a, read); t != nil && string(t[:4]) == "APIC" {
			return t
		}
	}
	return nil
}

// readTable returns a whole system description table, or nil if it is invalid.
func readTable(a uint64, read physicalReader) []byte {
	header := read(a, headerSize)
	if header == nil {
		return nil
	}
	size := field32(header, 4)
	if size < headerSize || size > maxACPISize {
		return nil
	}
	return read(a, size)
}

// Types of MADT entries (ACPI 6.5, 5.2.12).
const (
	madtLocalAPIC = 0
	madtIOAPIC    = 1
	madtOverride  = 2

	localAPICUsable = 1<<0 | 1<<1 // enabled, or online capable
)

func (t *acpiTables) parseMADT(madt []byte) {
	const firstEntry = 44
	for o := firstEntry; o+2 <= len(madt); {
		size := int(madt[o+1])
		if size < 2 || o+size > len(madt) {
			return
		}
		t.parseEntry(madt[o : o+size])
		o += size
	}
}

func (t *acpiTables) parseEntry(e []byte) {
	switch {
	case e[0] == madtLocalAPIC && len(e) >= 8:
		if field32(e, 4)&localAPICUsable != 0 && t.cpuCount < len(t.cpus) {
			t.cpus[t.cpuCount] = uint32(e[3])
			t.cpuCount++
		}
	case e[0] == madtIOAPIC && len(e) >= 12:
		if !t.ioapicOK { // the first has the ISA interrupts
			t.ioapic, t.ioapicOK = uint64(field32(e, 4)), true
		}
	case e[0] == madtOverride && len(e) >= 10:
		if e[3] < 16 {
			t.pins[e[3]] = field32(e, 4)
		}
	}
}
