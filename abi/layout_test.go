package abi

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// row compares a Go structure with Linux's. The fields are those of C in the
// order of the Go fields. "-" is a field that only fills the structure up, or
// one without a single counterpart; a name with "@" compares the offset only.
type row struct {
	value   any
	c       string // the C type; empty if the headers for programs lack it
	headers string
	fields  string
	part    bool // the Go structure is the beginning of C's
}

const (
	socketHeaders = "sys/socket.h"
	signalHeaders = "asm/signal.h asm/siginfo.h asm/sigcontext.h asm/ucontext.h"
)

// layouts has every structure that the kernel and programs exchange.
var layouts = []row{
	{value: Stat{}, c: "struct stat", headers: "asm/stat.h",
		fields: "st_dev st_ino st_nlink st_mode st_uid st_gid __pad0 st_rdev st_size st_blksize st_blocks st_atime st_mtime st_ctime __unused"},
	{value: StatxTimestamp{}, c: "struct statx_timestamp", headers: "linux/stat.h", fields: "tv_sec tv_nsec __reserved"},
	{value: Statx{}, c: "struct statx", headers: "linux/stat.h",
		fields: "stx_mask stx_blksize stx_attributes stx_nlink stx_uid stx_gid stx_mode __spare0 stx_ino stx_size stx_blocks" +
			" stx_attributes_mask stx_atime stx_btime stx_ctime stx_mtime stx_rdev_major stx_rdev_minor stx_dev_major" +
			" stx_dev_minor stx_mnt_id -"},
	{value: Flock{}, c: "struct flock", headers: "asm/fcntl.h", fields: "l_type l_whence - l_start l_len l_pid -"},
	{value: Iovec{}, c: "struct iovec", headers: "linux/uio.h", fields: "iov_base iov_len"},
	{value: EpollEvent{}, c: "struct epoll_event", headers: "linux/eventpoll.h", fields: "events - -"},
	{value: Dirent64{}, c: "struct dirent64", headers: "dirent.h", fields: "d_ino d_off d_reclen d_type d_name@", part: true},
	{value: Dirent{}, fields: "- - - -"},
	{value: Termios{}, c: "struct termios", headers: "asm/termbits.h", fields: "c_iflag c_oflag c_cflag c_lflag c_line c_cc"},
	{value: PselectMask{}, fields: "- -"},

	{value: ElfPrstatus{}, c: "struct elf_prstatus", headers: "sys/procfs.h",
		fields: "pr_info pr_cursig - pr_sigpend pr_sighold pr_pid pr_ppid pr_pgrp pr_sid pr_utime pr_stime pr_cutime pr_cstime pr_reg pr_fpvalid -"},
	{value: UserRegs{}, c: "struct user_regs_struct", headers: "sys/user.h",
		fields: "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs"},
	{value: ElfPrpsinfo{}, c: "struct elf_prpsinfo", headers: "sys/procfs.h",
		fields: "pr_state pr_sname pr_zomb pr_nice - pr_flag pr_uid pr_gid pr_pid pr_ppid pr_pgrp pr_sid pr_fname pr_psargs"},

	{value: Sigaction{}, c: "struct sigaction", headers: signalHeaders, fields: "sa_handler sa_flags sa_restorer sa_mask"},
	{value: Stack{}, c: "stack_t", headers: signalHeaders, fields: "ss_sp ss_flags - ss_size"},
	{value: Sigcontext{}, c: "struct sigcontext", headers: signalHeaders,
		fields: "r8 r9 r10 r11 r12 r13 r14 r15 rdi rsi rbp rbx rdx rax rcx rsp rip eflags cs gs fs ss err trapno oldmask cr2 fpstate reserved1"},
	{value: UContext{}, c: "struct ucontext", headers: signalHeaders, fields: "uc_flags uc_link uc_stack uc_mcontext uc_sigmask"},
	{value: RTSigframe{}, fields: "- - -"},
	{value: FPXSWBytes{}, c: "struct _fpx_sw_bytes", headers: signalHeaders,
		fields: "magic1 extended_size xfeatures xstate_size padding"},
	{value: Sigevent{}, c: "struct sigevent", headers: signalHeaders, fields: "sigev_value sigev_signo sigev_notify _sigev_un._tid -"},
	{value: SignalfdSiginfo{}, c: "struct signalfd_siginfo", headers: "linux/signalfd.h",
		fields: "ssi_signo ssi_errno ssi_code ssi_pid ssi_uid ssi_fd ssi_tid ssi_band ssi_overrun ssi_trapno ssi_status ssi_int" +
			" ssi_ptr ssi_utime ssi_stime ssi_addr ssi_addr_lsb __pad2 ssi_syscall ssi_call_addr ssi_arch __pad"},

	{value: Siginfo{}, c: "siginfo_t", headers: signalHeaders, fields: "si_signo si_errno si_code - _sifields@"},
	{value: SiginfoKill{}, c: "__typeof__(((siginfo_t *)0)->_sifields._kill)", headers: signalHeaders, fields: "_pid _uid"},
	{value: SiginfoTimer{}, c: "__typeof__(((siginfo_t *)0)->_sifields._timer)", headers: signalHeaders,
		fields: "_tid _overrun _sigval", part: true},
	{value: SiginfoRT{}, c: "__typeof__(((siginfo_t *)0)->_sifields._rt)", headers: signalHeaders, fields: "_pid _uid _sigval"},
	{value: SiginfoChild{}, c: "__typeof__(((siginfo_t *)0)->_sifields._sigchld)", headers: signalHeaders,
		fields: "_pid _uid _status - _utime _stime"},
	{value: SiginfoFault{}, c: "__typeof__(((siginfo_t *)0)->_sifields._sigfault)", headers: signalHeaders,
		fields: "_addr _addr_lsb -", part: true},
	{value: SiginfoSys{}, c: "__typeof__(((siginfo_t *)0)->_sifields._sigsys)", headers: signalHeaders,
		fields: "_call_addr _syscall _arch"},

	{value: SeccompData{}, c: "struct seccomp_data", headers: "linux/seccomp.h", fields: "nr arch instruction_pointer args"},
	{value: SeccompNotif{}, c: "struct seccomp_notif", headers: "linux/seccomp.h", fields: "id pid flags data"},
	{value: SeccompNotifResp{}, c: "struct seccomp_notif_resp", headers: "linux/seccomp.h", fields: "id val error flags"},
	{value: SeccompNotifAddFD{}, c: "struct seccomp_notif_addfd", headers: "linux/seccomp.h", fields: "id flags srcfd newfd newfd_flags"},
	{value: SeccompNotifSizes{}, c: "struct seccomp_notif_sizes", headers: "linux/seccomp.h",
		fields: "seccomp_notif seccomp_notif_resp seccomp_data"},
	{value: SeccompMetadata{}, c: "struct seccomp_metadata", headers: "linux/ptrace.h", fields: "filter_off flags"},
	{value: PtraceSudConfig{}, fields: "- - - -"}, // the headers of Linux 6.1 lack it
	{value: SockFilter{}, c: "struct sock_filter", headers: "linux/filter.h", fields: "code jt jf k"},
	{value: SockFprog{}, c: "struct sock_fprog", headers: "linux/filter.h", fields: "len - filter"},

	{value: Msghdr{}, c: "struct msghdr", headers: socketHeaders,
		fields: "msg_name msg_namelen - msg_iov msg_iovlen msg_control msg_controllen msg_flags -"},
	{value: Mmsghdr{}, c: "struct mmsghdr", headers: socketHeaders, fields: "msg_hdr msg_len -"},

	{value: Rseq{}, c: "struct rseq", headers: "linux/rseq.h", fields: "cpu_id_start cpu_id rseq_cs flags -", part: true},
	{value: RseqCS{}, c: "struct rseq_cs", headers: "linux/rseq.h", fields: "version flags start_ip post_commit_offset abort_ip"},
	{value: RSeqConfiguration{}, c: "struct ptrace_rseq_configuration", headers: "linux/ptrace.h",
		fields: "rseq_abi_pointer rseq_abi_size signature flags pad"},
	{value: PrctlMMMap{}, c: "struct prctl_mm_map", headers: "linux/prctl.h",
		fields: "start_code end_code start_data end_data start_brk brk start_stack arg_start arg_end env_start env_end auxv auxv_size exe_fd"},
	{value: RobustListHead{}, c: "struct robust_list_head", headers: "linux/futex.h", fields: "list futex_offset list_op_pending"},
	{value: FutexWaitv{}, c: "struct futex_waitv", headers: "linux/futex.h", fields: "val uaddr flags __reserved"},
	{value: CloneArgs{}, c: "struct clone_args", headers: "linux/sched.h",
		fields: "flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid set_tid_size cgroup", part: true},
	{value: AuxEntry{}, c: "Elf64_auxv_t", headers: "elf.h", fields: "a_type a_un.a_val"},

	{value: Sysinfo{}, c: "struct sysinfo", headers: "linux/sysinfo.h",
		fields: "uptime loads totalram freeram sharedram bufferram totalswap freeswap procs pad - totalhigh freehigh mem_unit -"},
	{value: Timezone{}, c: "struct timezone", headers: "linux/time.h", fields: "tz_minuteswest tz_dsttime"},
	{value: Elf64Ehdr{}, c: "Elf64_Ehdr", headers: "linux/elf.h",
		fields: "e_ident e_type e_machine e_version e_entry e_phoff e_shoff e_flags e_ehsize e_phentsize e_phnum e_shentsize e_shnum e_shstrndx"},
	{value: Elf64Phdr{}, c: "Elf64_Phdr", headers: "linux/elf.h",
		fields: "p_type p_flags p_offset p_vaddr p_paddr p_filesz p_memsz p_align"},

	{value: unix.Timespec{}, c: "struct __kernel_timespec", headers: "linux/time_types.h", fields: "tv_sec tv_nsec"},
	{value: unix.Timeval{}, c: "struct timeval", headers: "linux/time.h", fields: "tv_sec tv_usec"},
	{value: unix.ItimerSpec{}, c: "struct __kernel_itimerspec", headers: "linux/time_types.h", fields: "it_interval it_value"},
	{value: unix.Itimerval{}, c: "struct itimerval", headers: "linux/time.h", fields: "it_interval it_value"},
	{value: unix.Tms{}, c: "struct tms", headers: "linux/times.h", fields: "tms_utime tms_stime tms_cutime tms_cstime"},
	{value: unix.Utimbuf{}, c: "struct utimbuf", headers: "linux/utime.h", fields: "actime modtime"},
	{value: unix.Rusage{}, c: "struct rusage", headers: "linux/resource.h",
		fields: "ru_utime ru_stime ru_maxrss ru_ixrss ru_idrss ru_isrss ru_minflt ru_majflt ru_nswap ru_inblock ru_oublock" +
			" ru_msgsnd ru_msgrcv ru_nsignals ru_nvcsw ru_nivcsw"},
	{value: unix.Rlimit{}, c: "struct rlimit64", headers: "linux/resource.h", fields: "rlim_cur rlim_max"},
	{value: unix.Statfs_t{}, c: "struct statfs", headers: "asm/statfs.h",
		fields: "f_type f_bsize f_blocks f_bfree f_bavail f_files f_ffree f_fsid f_namelen f_frsize f_flags f_spare"},
	{value: unix.Utsname{}, c: "struct new_utsname", headers: "linux/utsname.h",
		fields: "sysname nodename release version machine domainname"},
	{value: unix.PollFd{}, c: "struct pollfd", headers: "asm/poll.h", fields: "fd events revents"},
	{value: unix.Termios{}, c: "struct termios2", headers: "asm/termbits.h",
		fields: "c_iflag c_oflag c_cflag c_lflag c_line c_cc c_ispeed c_ospeed"},
	{value: unix.Winsize{}, c: "struct winsize", headers: "asm/termios.h", fields: "ws_row ws_col ws_xpixel ws_ypixel"},
	{value: unix.OpenHow{}, c: "struct open_how", headers: "linux/openat2.h", fields: "flags mode resolve"},
	{value: unix.Cmsghdr{}, c: "struct cmsghdr", headers: socketHeaders, fields: "cmsg_len cmsg_level cmsg_type"},
	{value: unix.Ucred{}, c: "struct ucred", headers: socketHeaders, fields: "pid uid gid"},
	{value: unix.Linger{}, c: "struct linger", headers: socketHeaders, fields: "l_onoff l_linger"},
	{value: unix.CapUserHeader{}, c: "struct __user_cap_header_struct", headers: "linux/capability.h", fields: "version pid"},
	{value: unix.CapUserData{}, c: "struct __user_cap_data_struct", headers: "linux/capability.h",
		fields: "effective permitted inheritable"},
}

// TestStructuresHaveNoHiddenPadding: hidden padding and blank fields may hold
// kernel memory, and a field whose size depends on the architecture is no part
// of an ABI.
func TestStructuresHaveNoHiddenPadding(t *testing.T) {
	for _, r := range layouts {
		if err := checkType(reflect.TypeOf(r.value)); err != nil {
			t.Errorf("%T: %v", r.value, err)
		}
	}
}

func checkType(t reflect.Type) error {
	switch t.Kind() {
	case reflect.Bool, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Array:
		return checkType(t.Elem())
	case reflect.Struct:
		return checkFields(t)
	}
	return fmt.Errorf("%s has no fixed layout", t)
}

func checkFields(t reflect.Type) error {
	var end uintptr
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			return fmt.Errorf("the field at offset %d is blank; name it Pad", f.Offset)
		}
		if f.Offset != end {
			return fmt.Errorf("there is padding in front of %s; add a field named Pad", f.Name)
		}
		if err := checkType(f.Type); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		end = f.Offset + f.Type.Size()
	}
	if end != t.Size() {
		return fmt.Errorf("there is padding behind the last field; add a field named Pad")
	}
	return nil
}

// TestCheckTypeRefusesUnfitTypes tests the test above.
func TestCheckTypeRefusesUnfitTypes(t *testing.T) {
	for _, v := range []any{
		struct {
			A uint32
			B uint64
		}{},
		struct {
			A uint64
			B uint32
		}{},
		struct {
			A uint32
			_ uint32
		}{},
		struct{ A int }{}, struct{ A *byte }{}, [2]uintptr{}, "",
		unix.Stat_t{}, unix.Flock_t{},
	} {
		if checkType(reflect.TypeOf(v)) == nil {
			t.Errorf("%T is accepted", v)
		}
	}
}

// TestEveryStructureHasARow: a structure that is not compared with Linux's
// headers may be wrong.
func TestEveryStructureHasARow(t *testing.T) {
	known := map[string]bool{"UserMemory": true, "SiginfoFields": true} // an interface, and a union
	for _, r := range layouts {
		known[reflect.TypeOf(r.value).Name()] = true
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok && !known[s.Name.Name] {
				t.Errorf("%s: %s has no row in the table of layout_test.go", name, s.Name.Name)
			}
			return true
		})
	}
}

// layout is what a compiler makes of a structure: its size, and the offset and
// the size of each field.
func (r *row) layout() string {
	t := reflect.TypeOf(r.value)
	var b strings.Builder
	fmt.Fprintf(&b, "%s", r.c)
	if !r.part {
		fmt.Fprintf(&b, " size %d", t.Size())
	}
	for i, name := range strings.Fields(r.fields) {
		name, offsetOnly := strings.CutSuffix(name, "@")
		if name == "-" {
			continue
		}
		fmt.Fprintf(&b, " %s at %d", name, t.Field(i).Offset)
		if !offsetOnly {
			fmt.Fprintf(&b, " size %d", t.Field(i).Type.Size())
		}
	}
	return b.String()
}

// program returns a C function that prints what layout returns. Each function
// is a file of its own, because Linux's headers contradict each other.
func (r *row) program(number int) string {
	var b strings.Builder
	fmt.Fprintln(&b, "#define _GNU_SOURCE\n#include <stddef.h>")
	for _, h := range strings.Fields(r.headers) {
		fmt.Fprintf(&b, "#include <%s>\n", h)
	}
	fmt.Fprintf(&b, "int printf(const char *, ...);\ntypedef %s checked;\nvoid check%d(void) {\n\tprintf(%q);\n", r.c, number, r.c)
	if !r.part {
		fmt.Fprintln(&b, "\tprintf(\" size %zu\", sizeof(checked));")
	}
	for _, name := range strings.Fields(r.fields) {
		name, offsetOnly := strings.CutSuffix(name, "@")
		if name == "-" {
			continue
		}
		fmt.Fprintf(&b, "\tprintf(\" %s at %%zu\", offsetof(checked, %s));\n", name, name)
		if !offsetOnly {
			fmt.Fprintf(&b, "\tprintf(\" size %%zu\", %s);\n", r.sizeOf(name))
		}
	}
	fmt.Fprintln(&b, "\tprintf(\"\\n\");\n}")
	return b.String()
}

// sizeOf returns the C expression for the size of a field. Three times of
// struct stat are two fields in C.
func (r *row) sizeOf(name string) string {
	if r.c == "struct stat" && strings.HasSuffix(name, "time") {
		return fmt.Sprintf("offsetof(checked, %s_nsec) + sizeof(((checked *)0)->%s_nsec) - offsetof(checked, %s)", name, name, name)
	}
	return fmt.Sprintf("sizeof(((checked *)0)->%s)", name)
}

// TestLayoutsMatchLinuxHeaders compares each structure with Linux's headers, as
// the C compiler lays them out.
func TestLayoutsMatchLinuxHeaders(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Fatal("gcc is missing: run make check, which installs it")
	}
	dir := t.TempDir()
	arguments := []string{"-o", filepath.Join(dir, "layout")}
	var declarations, calls, want strings.Builder
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, path)
	}
	for i, r := range layouts {
		if count := reflect.TypeOf(r.value).NumField(); count != len(strings.Fields(r.fields)) {
			t.Fatalf("%T has %d fields, its row %d", r.value, count, len(strings.Fields(r.fields)))
		}
		if r.c == "" {
			continue
		}
		write(fmt.Sprintf("check%d.c", i), r.program(i))
		fmt.Fprintf(&declarations, "void check%d(void);\n", i)
		fmt.Fprintf(&calls, "\tcheck%d();\n", i)
		fmt.Fprintln(&want, r.layout())
	}
	write("main.c", declarations.String()+"int main(void) {\n"+calls.String()+"\treturn 0;\n}\n")
	if out, err := exec.Command("gcc", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	got, err := exec.Command(filepath.Join(dir, "layout")).Output()
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(want.String(), "\n")
	if len(gotLines) != len(wantLines) {
		t.Fatalf("the C program printed %d lines, want %d", len(gotLines), len(wantLines))
	}
	for i := range wantLines {
		if gotLines[i] != wantLines[i] {
			t.Errorf("the layouts differ:\n  C  %s\n  Go %s", gotLines[i], wantLines[i])
		}
	}
}

// TestSizesWithoutACType checks the structures that no header for programs has,
// against the numbers of the kernel's own.
func TestSizesWithoutACType(t *testing.T) {
	for name, c := range map[string]struct{ got, want uintptr }{
		"struct rt_sigframe":  {reflect.TypeFor[RTSigframe]().Size(), 8 + 304 + 128},
		"siginfo's union":     {reflect.TypeFor[SiginfoFields]().Size(), 112},
		"the mask of pselect": {reflect.TypeFor[PselectMask]().Size(), 16},
		"struct linux_dirent": {reflect.TypeFor[Dirent]().Size(), 24},
	} {
		if c.got != c.want {
			t.Errorf("%s has %d bytes, want %d", name, c.got, c.want)
		}
	}
}
