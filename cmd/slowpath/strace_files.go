package main

import (
	"fmt"
	"os"
	"slices"
)

// maxThreadFiles is the maximum number of files of -ff that are open at a time: a guest may
// have more threads than the host allows descriptors.
const maxThreadFiles = 256

// threadFiles are the files of -ff. The one that was used longest ago is closed if too many
// are open, and opened again by the next write.
type threadFiles struct {
	append bool          // do not truncate files that exist
	open   []*threadFile // the last one was used last
}

// threadFile is the file of a thread.
type threadFile struct {
	files *threadFiles
	name  string
	file  *os.File // nil if it is closed
	begun bool     // it was open before
}

// create creates a file. The error says that it is the file of -o.
func (f *threadFiles) create(name string) (*threadFile, error) {
	t := &threadFile{files: f, name: name}
	return t, t.reopen()
}

// reopen opens a file, at its end if it was open before.
func (t *threadFile) reopen() error {
	if len(t.files.open) >= maxThreadFiles {
		if err := t.files.open[0].Close(); err != nil {
			return err
		}
	}
	mode := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if !t.begun && !t.files.append {
		mode |= os.O_TRUNC
	}
	file, err := os.OpenFile(t.name, mode, 0o666)
	if err != nil {
		return fmt.Errorf("cannot write the file of -o: %w", err)
	}
	t.file, t.begun = file, true
	t.files.open = append(t.files.open, t)
	return nil
}

// Write writes at the end of the file.
func (t *threadFile) Write(p []byte) (int, error) {
	if t.file == nil {
		if err := t.reopen(); err != nil {
			return 0, err
		}
	}
	if i := slices.Index(t.files.open, t); i < len(t.files.open)-1 {
		t.files.open = append(slices.Delete(t.files.open, i, i+1), t)
	}
	return t.file.Write(p)
}

// Close closes the file. A later write opens it again.
func (t *threadFile) Close() error {
	if t.file == nil {
		return nil
	}
	file := t.file
	t.file = nil
	t.files.open = slices.DeleteFunc(t.files.open, func(one *threadFile) bool { return one == t })
	return file.Close()
}

// close closes all files. Error: the first one.
func (f *threadFiles) close() (err error) {
	for len(f.open) > 0 {
		if e := f.open[0].Close(); err == nil {
			err = e
		}
	}
	return err
}
