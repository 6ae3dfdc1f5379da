package decode

import (
	"encoding/binary"
	"strings"
	"testing"

	"slowpath/tracespec"
)

// words32 returns little-endian words of 32 bits.
func words32(list ...uint32) string {
	var b []byte
	for _, v := range list {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return string(b)
}

// numbers386 has the numbers of the calls by their names.
func numbers386(t *testing.T) map[string]int {
	t.Helper()
	m := map[string]int{}
	for _, r := range rows386() {
		if _, twice := m[r.Name]; twice {
			t.Errorf("two calls have the name %s", r.Name)
		}
		m[r.Name] = r.Number
	}
	return m
}

// TestCallsOfI386ArePrintedAsStracePrintsThem compares with lines of strace 6.1.
func TestCallsOfI386ArePrintedAsStracePrintsThem(t *testing.T) {
	stat := make([]byte, stat386Size)
	binary.LittleEndian.PutUint32(stat[16:], 0o100644)
	binary.LittleEndian.PutUint32(stat[44:], 5)
	m := program{
		0x1000: "/a\x00", 0x2000: "abcdefgh", 0x3000: words32(0x2000, 3, 0x2002, 5), 0x4000: words32(0x1000, 0x1000, 0),
		0x5000: words32(1, 500), 0x6000: words32(0x402000, 0x10000000, 0, 1<<1|1<<31, 0), 0x7000: words32(8<<20, 0xffffffff),
		0x8000: words32(0xffffffff, 0x9a07380, 0xfffff, 0x51), 0x9050: words32(2), 0x92c8: words32(0), 0xa000: string(stat),
		0xb000: words32(1, 5, 0, 6, 0), 0xc000: words32(5, 0),
	}
	const minus1 = 0xffffffff
	type args = [6]uint64
	numbers := numbers386(t)
	for _, c := range []struct {
		name   string
		args   args
		result int64
		want   string
	}{
		{"write", args{1, 0x2000, 4}, 4, `write(1, "abcd", 4) = 4`},
		{"writev", args{1, 0x3000, 2}, 8, `writev(1, [{iov_base="abc", iov_len=3}, {iov_base="cdefg", iov_len=5}], 2) = 8`},
		{"readv", args{1, 0x3000, 2}, 4, `readv(1, [{iov_base="abc", iov_len=3}, {iov_base="c", iov_len=5}], 2) = 4`},
		{"execve", args{0x1000, 0x4000, 0x4000}, 0, `execve("/a", ["/a", "/a"], 0x4000 /* 2 vars */) = 0`},
		{"nanosleep", args{0x5000, 0x5000}, 0, `nanosleep({tv_sec=1, tv_nsec=500}, 0x5000) = 0`},
		{"rt_sigaction", args{2, 0x6000, 0, 8}, 0, `rt_sigaction(SIGINT, {sa_handler=0x402000, sa_mask=[INT RTMIN], sa_flags=SA_RESTART}, NULL, 8) = 0`},
		{"ugetrlimit", args{3, 0x7000}, 0, `ugetrlimit(RLIMIT_STACK, {rlim_cur=8192*1024, rlim_max=RLIM_INFINITY}) = 0`},
		{"mmap2", args{0, 4096, 3, 0x22, minus1, 1}, 0xf7000000, `mmap2(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0x1000) = 0xf7000000`},
		{"lseek", args{3, minus1, 1}, -9, `lseek(3, -1, SEEK_CUR) = -1 EBADF (Bad file descriptor)`},
		{"_llseek", args{3, 0, 5, 0xc000, 0}, 0, `_llseek(3, 5, [5], SEEK_SET) = 0`},
		{"_llseek", args{3, 1, 5, 0xc000, 0}, -9, `_llseek(3, 4294967301, 0xc000, SEEK_SET) = -1 EBADF (Bad file descriptor)`},
		{"pread64", args{3, 0x2000, 4, 2, 1}, 4, `pread64(3, "abcd", 4, 4294967298) = 4`},
		{"ftruncate64", args{3, minus1, minus1}, -22, `ftruncate64(3, -1) = -1 EINVAL (Invalid argument)`},
		{"stat64", args{0x1000, 0xa000}, 0, `stat64("/a", {st_mode=S_IFREG|0644, st_size=5, ...}) = 0`},
		{"fcntl64", args{3, 13, 0xb000}, 0, `fcntl64(3, F_SETLK64, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=5, l_len=6}) = 0`},
		{"sigreturn", args{}, 0, `sigreturn({mask=[INT]}) = 0`},
		{"getuid32", args{}, 5, `getuid32() = 5`},
		{"clone", args{0x1200011, 0, 0, 0, 0x99}, 5, `clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x99) = 5`},
		{"socketcall", args{1, 0x10}, -14, `socketcall(SYS_SOCKET, 0x10) = -1 EFAULT (Bad address)`},
		{"oldstat", args{0x10, 0x20}, -14, `oldstat(0x10, 0x20) = -1 EFAULT (Bad address)`},
	} {
		if got := printed(t, Options{Strings: 32}, numbers[c.name], c.args, c.result, m); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestTablesOfI386NameCalls: a name that no call has is a spelling mistake.
func TestTablesOfI386NameCalls(t *testing.T) {
	numbers := numbers386(t)
	check := func(name, table string) {
		if numbers[name] == 0 {
			t.Errorf("%s has the name %s, which no call has", table, name)
		}
	}
	for name := range narrow386 {
		check(name, "narrow386")
	}
	for name := range raw386 {
		check(name, "raw386")
	}
	for _, r := range ownRows386 {
		check(r.Name, "ownRows386")
	}
}

func TestCallWithoutRowOfItsABIIsUnknown(t *testing.T) {
	table := New(Options{})
	for want, r := range map[string]tracespec.Record{
		"read": {Number: 0}, "restart_syscall": {Number: 0, I386: true}, "exit": {Number: 1, I386: true},
		"syscall_0x1f4": {Number: 500, I386: true}, "syscall_0x203": {Number: 515}, "syscall_0xffffffff": {Number: -1, I386: true},
	} {
		if got := table.CallOf(&r).Name; got != want {
			t.Errorf("the call %d (I386 %v) is %s, want %s", r.Number, r.I386, got, want)
		}
	}
}

func TestWidenConvertsLayouts(t *testing.T) {
	for _, c := range []struct{ layout, narrow, wide string }{
		{"ll", words32(1, 0xfffffffe), words(1, ^uint64(1))},
		{"uuuq", words32(1, 0xfffffffe, 3, 4, 5), words(1, 0xfffffffe, 3, 4|5<<32)},
		{"uiu", words32(1, 2, 3), words(1, 2, 3)},
		{"ssqqi", words32(1|2<<16, 3, 4, 5, 6, 7), words(1|2<<16, 3|4<<32, 5|6<<32, 7)},
	} {
		if got := string(widen(c.layout, []byte(c.narrow))); got != c.wide || size386(c.layout) != len(c.narrow) {
			t.Errorf("%s: % x, want % x; the size is %d", c.layout, got, c.wide, size386(c.layout))
		}
	}
	if !strings.HasPrefix(calls386, "0 restart_syscall\n") {
		t.Error("calls-i386 does not begin with restart_syscall")
	}
}
