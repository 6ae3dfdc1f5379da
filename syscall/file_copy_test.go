package syscall

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestSIGKILLInterruptsTransfers checks that a pending SIGKILL ends transfers,
// which a program may make arbitrarily long.
func TestSIGKILLInterruptsTransfers(t *testing.T) {
	asUser(t, func(u *user) {
		memory := func(name string, flags uint64) uint64 {
			return u.call(sysMemfdCreate, u.put(0, append([]byte(name), 0)), flags)
		}
		in, out := memory("in", 0), memory("out", 0)
		u.call(sysFtruncate, in, 1<<20)
		if n := u.call(sysSendfile, out, in, 0, 256<<10); n != 256<<10 {
			u.Errorf("sendfile moved %d bytes, want %d", n, 256<<10)
		}
		u.task.Signal(signalOf(unix.SIGKILL))
		u.fails(unix.EINTR, sysSendfile, out, in, 0, 256<<10)
		u.fails(unix.EINTR, sysRead, in, u.base, 4096)
		u.fails(unix.EINTR, sysWrite, out, u.base, 4096)
	})
}
