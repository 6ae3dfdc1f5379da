package insntest

import (
	"debug/elf"

	"slowpath/uprobe/insn"
)

// Encodings returns the first distinct instructions in the code of a program's file, at most
// limit, in order of their first occurrence, each with the bytes that follow it up to the length of the longest
// instruction. It decodes the section .text from its beginning, so it also finds
// instructions in what is no code, such as tables.
func Encodings(path string, limit int) ([][]byte, error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := file.Section(".text").Data()
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var all [][]byte
	for at := 0; at < len(text) && len(all) < limit; {
		i, err := insn.Decode(text[at:])
		if err != nil {
			at++
			continue
		}
		if code := text[at : at+i.Len()]; !seen[string(code)] {
			seen[string(code)] = true
			all = append(all, text[at:min(at+insn.MaxLength, len(text))])
		}
		at += i.Len()
	}
	return all, nil
}
