package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCoreFileHasHoles(t *testing.T) {
	c := coreFile{name: filepath.Join(t.TempDir(), "core")}
	c.write(100, []byte("end"))
	c.write(0, []byte("begin"))
	c.write(200, nil)
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(c.name)
	if err != nil || len(got) != 200 || string(got[:5]) != "begin" || string(got[100:103]) != "end" || got[50] != 0 {
		t.Errorf("the file has %d bytes, %v", len(got), err)
	}
}

func TestNoCoreFileWithoutCrash(t *testing.T) {
	c := coreFile{name: filepath.Join(t.TempDir(), "core")}
	if err := c.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(c.name); !os.IsNotExist(err) {
		t.Errorf("the file exists: %v", err)
	}
}

func TestCoreFileReportsError(t *testing.T) {
	c := coreFile{name: filepath.Join(t.TempDir(), "missing", "core")}
	c.write(0, []byte("x"))
	c.write(1, nil)
	if c.close() == nil {
		t.Error("a file in a directory that does not exist is written")
	}
}
