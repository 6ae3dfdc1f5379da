package main

import "os"

// coreFile is the file of --core. It is created when the first part of a core file
// arrives: without a crash nothing is written.
type coreFile struct {
	name string
	file *os.File
	err  error // the first
}

// write writes a part of the core file. Without bytes offset is its size: the file may
// end with a hole.
func (c *coreFile) write(offset int64, data []byte) {
	if c.file == nil && c.err == nil {
		c.file, c.err = os.Create(c.name)
	}
	if c.err != nil {
		return
	}
	if len(data) == 0 {
		c.err = c.file.Truncate(offset)
		return
	}
	_, c.err = c.file.WriteAt(data, offset)
}

// close closes the file and returns the first error.
func (c *coreFile) close() error {
	if c.file == nil {
		return c.err
	}
	if err := c.file.Close(); c.err == nil {
		c.err = err
	}
	return c.err
}
