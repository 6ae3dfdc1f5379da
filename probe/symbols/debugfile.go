package symbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path"
)

// debugDirectory has the debug information that distributions pack separately (gdb
// manual, "Debugging Information in Separate Files").
const debugDirectory = "/usr/lib/debug"

// findDebugFile looks for the separate debug information by build ID and by
// .gnu_debuglink, and attaches it if it belongs to the file.
func (o *Object) findDebugFile(files Files) {
	id := buildID(o.file)
	link, sum := debugLink(o.file)
	var candidates []string
	if len(id) > 1 {
		candidates = append(candidates, fmt.Sprintf("%s/.build-id/%x/%x.debug", debugDirectory, id[:1], id[1:]))
	}
	if link != "" {
		directory := path.Dir(o.Path)
		candidates = append(candidates, path.Join(directory, link), path.Join(directory, ".debug", link), path.Join(debugDirectory, directory, link))
	}
	for _, name := range candidates {
		f, err := files.Open(name)
		if err != nil {
			continue
		}
		if e := openDebug(f, id, sum); e != nil {
			o.debug = e
			o.closers = append(o.closers, f)
			return
		}
		f.Close()
	}
}

// openDebug returns the ELF file in f if it has debug information and the wanted build
// ID. A file without a build ID must have the checksum of the link.
func openDebug(f *os.File, id []byte, sum uint32) (e *elf.File) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxObject {
		return nil
	}
	if guarded(func() (err error) { e, err = elf.NewFile(f); return err }) != nil || !hasDebug(e) {
		return nil
	}
	if own := buildID(e); len(own) > 0 && len(id) > 0 {
		if bytes.Equal(own, id) {
			return e
		}
		return nil
	}
	h := crc32.NewIEEE()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, info.Size())); err != nil || h.Sum32() != sum {
		return nil
	}
	return e
}

// buildID returns the description of the note NT_GNU_BUILD_ID, or nil.
func buildID(f *elf.File) []byte {
	const header, kind, owner = 12, 3, "GNU\x00"
	note := section(f, ".note.gnu.build-id")
	if len(note) < header+len(owner) || string(note[header:header+len(owner)]) != owner || binary.LittleEndian.Uint32(note[8:]) != kind {
		return nil
	}
	id := note[header+len(owner):]
	size := binary.LittleEndian.Uint32(note[4:])
	if uint64(size) > uint64(len(id)) {
		return nil
	}
	return id[:size]
}

// debugLink returns the file name and the CRC-32 in .gnu_debuglink.
func debugLink(f *elf.File) (name string, sum uint32) {
	content := section(f, ".gnu_debuglink")
	end := bytes.IndexByte(content, 0)
	at := (end + 4) &^ 3
	if end <= 0 || at+4 > len(content) {
		return "", 0
	}
	return path.Base(string(content[:end])), binary.LittleEndian.Uint32(content[at:])
}
