package main

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"

	"slowpath/boot"
	"slowpath/core"
	"slowpath/fs"
	"slowpath/fs/devfs"
	"slowpath/fs/initramfs"
	"slowpath/runspec"
)

// makeFiles creates the root file system, fills it from the initramfs, and mounts
// /dev.
func (k *kernel) makeFiles() error {
	k.mounts, k.root = core.NewMounts(k.memory, devfs.Config{
		Random:  k.random,
		Log:     func(line string) { k.log.Infof("%s", line) },
		ReadLog: k.log.Text,
	})
	if archive := boot.Initramfs(); len(archive) > 0 {
		if err := initramfs.Unpack(k.root, bytes.NewReader(archive)); err != nil {
			return fmt.Errorf("the initramfs cannot be unpacked: %w", err)
		}
		boot.FreeInitramfs()
	}
	return core.MountDevices(k.root, k.memory)
}

// at returns a path for file operations of the kernel itself.
func (k *kernel) at(name string) fs.At { return fs.At{Caller: k.root, Name: name, Follow: true} }

// readFile returns the content of a file.
func (k *kernel) readFile(name string) ([]byte, error) {
	f, err := k.at(name).Open(unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.DecRef()
	text := make([]byte, f.Attributes().Size)
	for done := 0; done < len(text); {
		n, err := f.Read(fs.NewBytesSink(text[done:]))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return text[:done], nil
		}
		done += n
	}
	return text, nil
}

// takeFile reads and removes a file that the host command has put into the initramfs.
// errors.Is(err, ENOENT) reports that there is none.
func (k *kernel) takeFile(name string) ([]byte, error) {
	text, err := k.readFile(name)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", name, err)
	}
	k.at(name).Unlink()
	return text, nil
}

// standardFiles returns a descriptor table with the program's standard files.
func (k *kernel) standardFiles(spec *runspec.Spec) (*fs.FDTable, error) {
	if k.link != nil {
		defer k.link.begin()
	}
	if spec.Stdio == runspec.Terminal && k.link != nil {
		return k.terminalFiles(spec)
	}
	in, err := k.standardInput(spec)
	if err != nil {
		return nil, err
	}
	files := [...]*fs.File{in, k.streams().stdout.Open(k.mounts), k.streams().stderr.Open(k.mounts)}
	table := fs.NewFDTable()
	for _, f := range files {
		if _, err := table.Install(f, 0, fs.MaxDescriptors, fs.KeepOnExec); err != nil {
			return nil, err
		}
	}
	return table, nil
}

// standardInput returns the host's stream, or the file that the run file names.
func (k *kernel) standardInput(spec *runspec.Spec) (*fs.File, error) {
	if spec.Stdin == "" {
		return k.streams().stdin.Open(k.mounts), nil
	}
	f, err := k.at(spec.Stdin).Open(unix.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("the standard input %s cannot be opened: %w", spec.Stdin, err)
	}
	k.at(spec.Stdin).Unlink()
	return f, nil
}
