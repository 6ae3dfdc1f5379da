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
	const minus1 = 0xffffffff
	stat := make([]byte, stat386Size)
	binary.LittleEndian.PutUint32(stat[16:], 0o100644)
	binary.LittleEndian.PutUint32(stat[44:], 5)
	m := program{
		0x1000: "/a\x00", 0x2000: "abcdefgh", 0x3000: words32(0x2000, 3, 0x2002, 5), 0x4000: words32(0x1000, 0x1000, 0),
		0x5000: words32(1, 500), 0x6000: words32(0x402000, 0x10000000, 0, 1<<1|1<<31, 0), 0x7000: words32(8<<20, 0xffffffff),
		0x8000: words32(0xffffffff, 0x9a07380, 0xfffff, 0x51), 0x9050: words32(2), 0x92c8: words32(0), 0xa000: string(stat),
		0xb000: words32(1, 5, 0, 6, 0), 0xc000: words32(5, 0),
		0x13000: words32(0, 4096, 3, 0x22, minus1, 0), 0x14000: words32(4, 0x14100, 0, 0, 0x5000), 0x14100: words32(append([]uint32{3}, make([]uint32, 31)...)...),
		0x15000: words32(0xef53, 4096, 7, 6, 5, 4, 3, 1, 2, 255, 4096, 0x20, 0, 0, 0, 0),
		0x16000: words32(0xef53, 4096, 7, 1, 6, 0, 5, 0, 4, 0, 3, 0, 1, 2, 255, 4096, 0x20, 0, 0, 0, 0),
		0x17000: words32(append([]uint32{17, 0, 1, 7, 1000, 3, 0, 100}, make([]uint32, 24)...)...),
		0x18000: words32(append([]uint32{11, 0, 1, 0xdeadbeef}, make([]uint32, 28)...)...),
		0x19000: words32(append([]uint32{34, 0, minus1, 8, 9, 5}, make([]uint32, 26)...)...),
		0x1a000: words32(0, 0, 0x3000, 2, 0x1b000, 36, 0), 0x1b000: words32(20, 1, 1, 0, 1, 16, 1, 1, 2), 0x1c000: words32(3, 0x2000),
	}
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
		{"mmap", args{0x13000}, 0xf7000000, `mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0xf7000000`},
		{"mmap", args{0x10}, -14, `mmap(0x10) = -1 EFAULT (Bad address)`},
		{"select", args{0x14000}, 1, `select(4, [0 1], NULL, NULL, {tv_sec=1, tv_usec=500}) = 1 (in [0 1], left {tv_sec=1, tv_usec=500})`},
		{"statfs", args{0x1000, 0x15000}, 0, `statfs("/a", {f_type=EXT2_SUPER_MAGIC, f_bsize=4096, f_blocks=7, f_bfree=6, f_bavail=5, f_files=4, f_ffree=3, f_fsid={val=[0x1, 0x2]}, f_namelen=255, f_frsize=4096, f_flags=ST_VALID}) = 0`},
		{"statfs64", args{0x1000, 84, 0x16000}, 0, `statfs64("/a", 84, {f_type=EXT2_SUPER_MAGIC, f_bsize=4096, f_blocks=4294967303, f_bfree=6, f_bavail=5, f_files=4, f_ffree=3, f_fsid={val=[0x1, 0x2]}, f_namelen=255, f_frsize=4096, f_flags=ST_VALID}) = 0`},
		{"waitid", args{0, 7, 0x17000, 4, 0}, 0, `waitid(P_ALL, 7, {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=7, si_uid=1000, si_status=3, si_utime=0, si_stime=100 /* 1.00 s */}, WEXITED, NULL) = 0`},
		{"rt_sigqueueinfo", args{7, 11, 0x18000}, 0, `rt_sigqueueinfo(7, SIGSEGV, {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0xdeadbeef}) = 0`},
		{"rt_sigqueueinfo", args{7, 34, 0x19000}, 0, `rt_sigqueueinfo(7, SIGRT_2, {si_signo=SIGRT_2, si_code=SI_QUEUE, si_pid=8, si_uid=9, si_int=5, si_ptr=0x5}) = 0`},
		{"sendmsg", args{3, 0x1a000, 0}, 8, `sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="abc", iov_len=3}, {iov_base="cdefg", iov_len=5}], msg_iovlen=2, ` +
			`msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[0, 1]}, {cmsg_len=16, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[2]}], msg_controllen=36, msg_flags=0}, 0) = 8`},
		{"recvmsg", args{3, 0x1a000, 0}, 2, `recvmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="ab", iov_len=3}, {iov_base="", iov_len=5}], msg_iovlen=2, ` +
			`msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[0, 1]}, {cmsg_len=16, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[2]}], msg_controllen=36, msg_flags=0}, 0) = 2`},
		{"ptrace", args{0x4206, 7, 0, 1}, 0, `ptrace(PTRACE_SEIZE, 7, NULL, 0x1) = 0`},
		{"seccomp", args{1, 0, 0x1c000}, 0, `seccomp(SECCOMP_SET_MODE_FILTER, 0, {len=3, filter=0x2000}) = 0`},
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
