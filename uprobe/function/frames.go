package function

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sort"
)

// frame is a range of code with call frame information (Linux Standard Base, Core, 10.6.1:
// .eh_frame). Compilers describe each function with it, and the cold part of a function
// that is elsewhere.
type frame struct {
	start uint64 // file offset
	size  uint32
	// inside is set if the stack at its beginning is not that at the entry of a function.
	inside bool
}

var errFrames = errors.New("an entry does not make sense")

// commonEntry is what is needed of a CIE.
type commonEntry struct {
	encoding  uint8 // of addresses in its FDEs
	augmented bool  // FDEs have augmentation data
}

// Encodings of addresses (DW_EH_PE). Compilers for x86-64 use the first two.
const (
	relative32bits = 0x1b
	relative64bits = 0x1c
	absolute       = 0x00
	absolute32     = 0x03
)

// maxCommon bounds the common entries that are kept. Linkers merge equal ones.
const maxCommon = 4096

// readFrames reads .eh_frame.
func (i *Image) readFrames(all sections) ([]frame, error) {
	s := all.named(".eh_frame")
	if s == nil {
		return nil, nil
	}
	r, err := i.file.stream(s.offset, s.size)
	if err != nil {
		return nil, err
	}
	p := frameParser{image: i, reader: r, address: s.address, common: map[uint64]commonEntry{}}
	for p.at = 0; p.at+4 <= s.size; {
		more, err := p.entry(s.size)
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
	}
	slices.SortFunc(p.frames, func(a, b frame) int { return cmp.Compare(a.start, b.start) })
	return slices.Clip(p.frames), nil
}

type frameParser struct {
	image   *Image
	reader  *bufio.Reader
	address uint64 // of the section
	at      uint64 // offset of the next byte in the section
	common  map[uint64]commonEntry
	frames  []frame
	buffer  [256]byte
}

// entry reads one CIE or FDE. It returns false at the entry that ends the table.
func (p *frameParser) entry(size uint64) (bool, error) {
	begin := p.at
	head, err := p.read(4)
	if err != nil {
		return false, err
	}
	length := uint64(le.Uint32(head))
	switch {
	case length == 0:
		return false, nil
	case length < 4 || length > size-p.at: // 64-bit lengths begin with ffffffff
		return false, errFrames
	}
	rest := length - min(length, uint64(len(p.buffer)))
	body, err := p.read(length - rest)
	if err != nil {
		return false, err
	}
	if _, err := p.reader.Discard(int(rest)); err != nil {
		return false, err
	}
	p.at += rest
	pointer := uint64(le.Uint32(body))
	if pointer == 0 {
		return true, p.addCommon(begin, body[4:])
	}
	c, ok := p.common[begin+4-pointer]
	if !ok {
		return false, errFrames
	}
	return true, p.addFrame(c, begin+8, body[4:])
}

func (p *frameParser) read(n uint64) ([]byte, error) {
	b := p.buffer[:n]
	_, err := io.ReadFull(p.reader, b)
	p.at += n
	return b, err
}

// addCommon parses a CIE: version, augmentation string, alignment factors, return
// register, augmentation data.
func (p *frameParser) addCommon(begin uint64, body []byte) error {
	if len(p.common) == maxCommon {
		return errTooMany
	}
	c := commonEntry{encoding: absolute}
	if len(body) < 2 || body[0] != 1 && body[0] != 3 {
		return errFrames
	}
	augmentation, data, ok := bytes.Cut(body[1:], []byte{0})
	if !ok {
		return errFrames
	}
	for range 3 { // code alignment, data alignment, return register
		data = skipNumber(data)
	}
	if len(augmentation) > 0 && augmentation[0] == 'z' {
		c.augmented = true
		data = skipNumber(data)
		var err error
		if c.encoding, err = encodingIn(augmentation[1:], data); err != nil {
			return err
		}
	}
	p.common[begin] = c
	return nil
}

// encodingIn finds the encoding of addresses in augmentation data.
func encodingIn(augmentation, data []byte) (uint8, error) {
	for _, letter := range augmentation {
		if len(data) == 0 && letter != 'S' && letter != 'B' {
			return 0, errFrames
		}
		switch letter {
		case 'R':
			return data[0], nil
		case 'L':
			data = data[1:]
		case 'P': // the address of the personality routine
			size := map[uint8]int{0x0: 8, 0x2: 2, 0x3: 4, 0x4: 8, 0xa: 2, 0xb: 4, 0xc: 8}[data[0]&15]
			if size == 0 || len(data) < 1+size {
				return 0, errFrames
			}
			data = data[1+size:]
		case 'S', 'B':
		default:
			return 0, errFrames
		}
	}
	return absolute, nil
}

// skipNumber skips a LEB128.
func skipNumber(data []byte) []byte {
	for n, b := range data {
		if b < 0x80 {
			return data[n+1:]
		}
	}
	return nil
}

// addFrame parses an FDE, whose address field is at an offset of the section.
func (p *frameParser) addFrame(c commonEntry, at uint64, body []byte) error {
	start, size, rest, ok := p.decodeRange(c, at, body)
	if !ok {
		return errFrames
	}
	e, ok := p.image.extent(start, size)
	if !ok || size > 1<<31 {
		return nil // of code that is no part of the file, or was removed by the linker
	}
	if len(p.frames) == maxFunctions {
		return errTooMany
	}
	if c.augmented {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)-n) {
			return errFrames
		}
		rest = rest[n+int(length):]
	}
	p.frames = append(p.frames, frame{start: e.Start, size: uint32(size), inside: changesAtOnce(rest)})
	return nil
}

func (p *frameParser) decodeRange(c commonEntry, at uint64, body []byte) (start, size uint64, rest []byte, ok bool) {
	switch {
	case c.encoding == relative32bits && len(body) >= 8:
		start = p.address + at + uint64(int64(int32(le.Uint32(body))))
		return start, uint64(le.Uint32(body[4:])), body[8:], true
	case c.encoding == absolute32 && len(body) >= 8:
		return uint64(le.Uint32(body)), uint64(le.Uint32(body[4:])), body[8:], true
	case c.encoding == relative64bits && len(body) >= 16:
		return p.address + at + le.Uint64(body), le.Uint64(body[8:]), body[16:], true
	case c.encoding == absolute && len(body) >= 16:
		return le.Uint64(body), le.Uint64(body[8:]), body[16:], true
	}
	return 0, 0, nil, false
}

// changesAtOnce reports whether the call frame instructions describe another stack than a
// function's entry before they advance to a later address (DWARF 5, 6.4.2).
func changesAtOnce(instructions []byte) bool {
	const nop, advance1, advance4, advance = 0, 2, 4, 1
	if len(instructions) == 0 {
		return false
	}
	first := instructions[0]
	return first != nop && !(first >= advance1 && first <= advance4) && first>>6 != advance
}

// frameAt returns the range that contains an offset, or nil.
func frameAt(all []frame, offset uint64) *frame {
	n := sort.Search(len(all), func(n int) bool { return all[n].start > offset })
	if n == 0 || offset-all[n-1].start >= uint64(all[n-1].size) {
		return nil
	}
	return &all[n-1]
}
