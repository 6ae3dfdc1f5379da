package hostkernel

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/fuzz/program"
)

// The calls of a program that is written by hand.
func makeCall(number int, arguments ...uint64) program.Instruction {
	i := program.Instruction{Op: program.OpCall, Number: number}
	copy(i.Args[:], arguments)
	return i
}

// buffer is an address in the data area without a structure.
const buffer = program.DataBase + 0x9000

// startThreads returns a routine that executes first, and then starts threads.
func startThreads(n int, first ...program.Instruction) []program.Instruction {
	const flags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD
	for range n {
		first = append(first, makeCall(unix.SYS_CLONE, flags))
	}
	return first
}

// repeat returns the instructions many times.
func repeat(n int, i ...program.Instruction) (all []program.Instruction) {
	for range n {
		all = append(all, i...)
	}
	return all
}

// TestThreadsUseOneObject runs threads that change and read the same object. Each
// case had a data race or a check that another call made false.
func TestThreadsUseOneObject(t *testing.T) {
	memfd := []program.Instruction{makeCall(unix.SYS_MEMFD_CREATE, program.DataBase, unix.MFD_ALLOW_SEALING), makeCall(unix.SYS_FTRUNCATE, 3, 4096)}
	fresh := []program.Instruction{makeCall(unix.SYS_CLOSE, 3), memfd[0], memfd[1]}
	mapping := makeCall(unix.SYS_MMAP, 0, 4096, 3, unix.MAP_SHARED, 3)
	seal := makeCall(unix.SYS_FCNTL, 3, unix.F_ADD_SEALS, unix.F_SEAL_WRITE)
	for name, routines := range map[string][][]program.Instruction{
		"options of a socket": {
			startThreads(2, makeCall(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM, 0, buffer), program.Instruction{Op: program.OpStore, Args: [6]uint64{buffer + 64, 4}}),
			repeat(200, makeCall(unix.SYS_SETSOCKOPT, 3, unix.SOL_SOCKET, unix.SO_REUSEADDR, buffer, 4)),
			repeat(200, makeCall(unix.SYS_GETSOCKOPT, 3, unix.SOL_SOCKET, unix.SO_REUSEADDR, buffer+128, buffer+64)),
		},
		"interests of an epoll set": {
			startThreads(3, makeCall(unix.SYS_EPOLL_CREATE1), makeCall(unix.SYS_EVENTFD2, 0, unix.EFD_NONBLOCK)),
			repeat(200, makeCall(unix.SYS_EPOLL_CTL, 3, unix.EPOLL_CTL_ADD, 4, buffer), makeCall(unix.SYS_EPOLL_CTL, 3, unix.EPOLL_CTL_DEL, 4, buffer)),
			repeat(300, makeCall(unix.SYS_EPOLL_CTL, 3, unix.EPOLL_CTL_MOD, 4, buffer)),
			repeat(300, makeCall(unix.SYS_EPOLL_CTL, 3, unix.EPOLL_CTL_MOD, 4, buffer)),
		},
		"seals of a memfd": {
			startThreads(3, memfd...),
			repeat(100, fresh...),
			repeat(300, mapping),
			repeat(300, seal),
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range *repetitions {
				k, err := New(Config{Frames: 1024, Idle: time.Millisecond, Limit: time.Second, Locks: true})
				if err != nil {
					t.Fatal(err)
				}
				if err := k.Run(&program.Program{Routines: routines}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
