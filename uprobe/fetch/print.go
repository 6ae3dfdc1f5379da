package fetch

import "strconv"

// fault is what is printed for data that could not be read.
const fault = "(fault)"

// Print appends the argument of a record as Linux prints it in the file trace: a space,
// the name, an equals sign, and the value. at is the offset of the argument's fixed part.
// A record that is too short is printed as one that could not be read.
func (a *Argument) Print(dst, record []byte, at int) []byte {
	dst = append(append(append(dst, ' '), a.Name...), '=')
	if at+a.FixedSize() > len(record) {
		return append(dst, fault...)
	}
	if a.Count == 0 {
		return a.printElement(dst, record, at)
	}
	size := a.FixedSize() / a.Count
	separator := byte('{')
	for i := range a.Count {
		dst = append(dst, separator)
		dst = a.printElement(dst, record, at+i*size)
		separator = ','
	}
	return append(dst, '}')
}

func (a *Argument) printElement(dst, record []byte, at int) []byte {
	switch {
	case a.Kind == Bytes:
		return printBytes(dst, record, LocationAt(record, at))
	case a.Dynamic():
		return printString(dst, record, LocationAt(record, at))
	}
	return a.printInteger(dst, load(record[at:at+a.Size]))
}

func (a *Argument) printInteger(dst []byte, value uint64) []byte {
	if a.Base != Decimal {
		return append(dst, hexadecimal(value)...)
	}
	if a.Signed {
		unused := 64 - 8*a.Size
		return strconv.AppendInt(dst, int64(value<<unused)>>unused, 10)
	}
	return strconv.AppendUint(dst, value, 10)
}

func hexadecimal(value uint64) string { return "0x" + strconv.FormatUint(value, 16) }

// data returns the bytes of a location, or nil.
func data(record []byte, l Location) []byte {
	if l.Length() == 0 || l.Offset()+l.Length() > len(record) {
		return nil
	}
	return record[l.Offset():][:l.Length()]
}

func printString(dst, record []byte, l Location) []byte {
	text := data(record, l)
	if text == nil {
		return append(dst, fault...)
	}
	dst = append(dst, '"')
	for _, c := range text {
		if c == 0 {
			break
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// printBytes prints the bytes as Linux prints an array of x8.
func printBytes(dst, record []byte, l Location) []byte {
	separator := byte('{')
	for _, c := range data(record, l) {
		dst = append(append(dst, separator), hexadecimal(uint64(c))...)
		separator = ','
	}
	if separator == '{' {
		dst = append(dst, '{')
	}
	return append(dst, '}')
}
