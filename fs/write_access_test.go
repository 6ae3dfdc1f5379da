package fs_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/fstest"
)

// openError opens a file, closes it again, and returns the error of the open.
func openError(at fs.At, flags int) error {
	f, err := at.Open(flags, 0)
	if err == nil {
		f.DecRef()
	}
	return err
}

func TestOpenForWritingAnExecutedFileIsETXTBSY(t *testing.T) {
	w := fstest.New(t, 512)
	w.Write("/program", "text")
	program, err := w.At("/program").Open(unix.O_RDONLY, 0)
	must(t, err)
	must(t, program.DenyWriting())
	for _, flags := range []int{unix.O_WRONLY, unix.O_RDWR, unix.O_RDWR | unix.O_TRUNC, unix.O_RDONLY | unix.O_TRUNC, unix.O_RDWR | unix.O_CREAT} {
		if err := openError(w.At("/program"), flags); err != unix.ETXTBSY {
			t.Errorf("open with flags %#o: %v, want ETXTBSY", flags, err)
		}
	}
	if err := program.Path().Truncate(w.Caller, 0); err != unix.ETXTBSY {
		t.Errorf("truncate: %v, want ETXTBSY", err)
	}
	must(t, openError(w.At("/program"), unix.O_RDONLY))
	if got := fstest.ReadAll(t, program); got != "text" {
		t.Errorf("the program contains %q", got)
	}
	program.DecRef()
	must(t, openError(w.At("/program"), unix.O_RDWR))
	must(t, openError(w.At("/program"), unix.O_RDWR|unix.O_TRUNC))
}

func TestExecutingAFileOpenForWritingIsETXTBSY(t *testing.T) {
	w := fstest.New(t, 512)
	w.Write("/program", "text")
	program, err := w.At("/program").Open(unix.O_RDONLY, 0)
	must(t, err)
	defer program.DecRef()
	var writers [2]*fs.File
	for i := range writers {
		if writers[i], err = w.At("/program").Open(unix.O_RDWR|unix.O_TRUNC, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range writers {
		if err := program.DenyWriting(); err != unix.ETXTBSY {
			t.Errorf("DenyWriting with a writer: %v, want ETXTBSY", err)
		}
		f.DecRef()
	}
	must(t, program.DenyWriting())
}
