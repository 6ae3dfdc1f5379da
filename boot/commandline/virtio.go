package commandline

import (
	"fmt"
	"strconv"
	"strings"
)

// VirtioDevice is a virtio device with memory-mapped registers, from
// virtio_mmio.device=SIZE@BASE:IRQ[:ID] (Linux, drivers/virtio/virtio_mmio.c).
type VirtioDevice struct {
	Base, Size uint64 // physical address, and size in bytes
	IRQ        uint32
}

// units are the suffixes of a size.
var units = map[string]uint64{"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

// virtioDevice parses one device and appends it to the list.
func virtioDevice(list *[]VirtioDevice, v string) error {
	size, rest, ok1 := strings.Cut(v, "@")
	base, rest, ok2 := strings.Cut(rest, ":")
	irq, _, _ := strings.Cut(rest, ":")
	factor := uint64(1)
	if n := len(size); n > 0 && units[strings.ToUpper(size[n-1:])] != 0 {
		factor, size = units[strings.ToUpper(size[n-1:])], size[:n-1]
	}
	s, err1 := strconv.ParseUint(size, 0, 32)
	b, err2 := strconv.ParseUint(base, 0, 64)
	i, err3 := strconv.ParseUint(irq, 0, 32)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || err3 != nil || s == 0 {
		return fmt.Errorf("give SIZE@BASE:IRQ, such as 512@0xfeb00000:16")
	}
	*list = append(*list, VirtioDevice{Base: b, Size: s * factor, IRQ: uint32(i)})
	return nil
}
