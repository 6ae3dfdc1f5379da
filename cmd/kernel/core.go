package main

import (
	"errors"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/hostlink"
)

// coreDirectory has the core files of slowpath run --core, one for each user, which
// the next crash of the user replaces.
const coreDirectory = "/.cores"

// keepCore makes all processes write their core files into coreDirectory. Every user
// may create files there.
func (k *kernel) keepCore() error {
	const sticky = 0o1777
	if err := k.at(coreDirectory).MakeDirectory(sticky); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	directory, err := k.at(coreDirectory).Lookup()
	if err != nil {
		return err
	}
	k.settings.CorePattern.Set(coreDirectory + "/%u")
	return directory.ChangeMode(k.root, sticky)
}

// sendCore sends the newest core file to the host, if there is one.
func (k *kernel) sendCore() {
	file := k.newestCore()
	if file == nil {
		return
	}
	defer file.DecRef()
	if err := k.copyCore(file); err != nil {
		k.log.Errorf("The core file cannot be sent to the host: %v", err)
	}
}

// newestCore opens the core file that was written last. It returns nil if there is
// none.
func (k *kernel) newestCore() *fs.File {
	var newest *fs.File
	for _, name := range k.coreNames() {
		file, err := k.at(coreDirectory+"/"+name).Open(unix.O_RDONLY, 0)
		if err != nil {
			continue
		}
		if newest != nil {
			older := file
			if file.Attributes().Modify > newest.Attributes().Modify {
				older, newest = newest, file
			}
			older.DecRef()
			continue
		}
		newest = file
	}
	return newest
}

// coreNames returns the names of the core files.
func (k *kernel) coreNames() (names []string) {
	directory, err := k.at(coreDirectory).Open(unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil
	}
	defer directory.DecRef()
	directory.ReadDirectory(func(e fs.DirectoryEntry) bool {
		if e.Name != "." && e.Name != ".." {
			names = append(names, e.Name)
		}
		return true
	})
	return names
}

// copyCore sends the parts of a file that are not holes, and its size.
func (k *kernel) copyCore(file *fs.File) error {
	buffer := make([]byte, hostlink.MaxCore)
	for at := int64(0); ; {
		begin, err := file.Seek(at, unix.SEEK_DATA)
		if err == unix.ENXIO {
			return k.link.writer.Core(file.Attributes().Size, nil)
		}
		if err != nil {
			return err
		}
		end, err := file.Seek(begin, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		for at = begin; at < end; {
			n, err := file.ReadAt(fs.NewBytesSink(buffer[:min(end-at, int64(len(buffer)))]), at)
			if err != nil || n == 0 {
				return err
			}
			if err := k.link.writer.Core(at, buffer[:n]); err != nil {
				return err
			}
			at += int64(n)
		}
	}
}
