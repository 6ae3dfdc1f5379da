package syscall

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestDeathEndsLongTransfers: copies that a program may make as long as it
// likes end when it is killed.
func TestDeathEndsLongTransfers(t *testing.T) {
	asUser(t, func(u *user) {
		memory := func(name string, flags uint64) uint64 {
			return u.call(sysMemfdCreate, u.put(0, append([]byte(name), 0)), flags)
		}
		in, out := memory("in", 0), memory("out", 0)
		u.call(sysFtruncate, in, 1<<20)
		if n := u.call(sysSendfile, out, in, 0, 256<<10); n != 256<<10 {
			u.Errorf("sendfile moves %d bytes", n)
		}
		u.task.Signal(signalOf(unix.SIGKILL))
		u.fails(unix.EINTR, sysSendfile, out, in, 0, 256<<10)
		u.fails(unix.EINTR, sysRead, in, u.base, 4096)
		u.fails(unix.EINTR, sysWrite, out, u.base, 4096)
	})
}
