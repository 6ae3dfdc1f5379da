package abi

import (
	"reflect"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi/layouttest"
)

const (
	socketHeaders = "sys/socket.h"
	signalHeaders = "asm/signal.h asm/siginfo.h asm/sigcontext.h asm/ucontext.h"
)

// layouts has every structure that the kernel and programs exchange.
var layouts = []layouttest.Row{
	{Value: Stat{}, C: "struct stat", Headers: "asm/stat.h",
		Fields: "st_dev st_ino st_nlink st_mode st_uid st_gid __pad0 st_rdev st_size st_blksize st_blocks st_atime+st_atime_nsec st_mtime+st_mtime_nsec st_ctime+st_ctime_nsec __unused"},
	{Value: StatxTimestamp{}, C: "struct statx_timestamp", Headers: "linux/stat.h", Fields: "tv_sec tv_nsec __reserved"},
	{Value: Statx{}, C: "struct statx", Headers: "linux/stat.h",
		Fields: "stx_mask stx_blksize stx_attributes stx_nlink stx_uid stx_gid stx_mode __spare0 stx_ino stx_size stx_blocks" +
			" stx_attributes_mask stx_atime stx_btime stx_ctime stx_mtime stx_rdev_major stx_rdev_minor stx_dev_major" +
			" stx_dev_minor stx_mnt_id -"},
	{Value: Flock{}, C: "struct flock", Headers: "asm/fcntl.h", Fields: "l_type l_whence - l_start l_len l_pid -"},
	{Value: Iovec{}, C: "struct iovec", Headers: "linux/uio.h", Fields: "iov_base iov_len"},
	{Value: EpollEvent{}, C: "struct epoll_event", Headers: "linux/eventpoll.h", Fields: "events - -"},
	{Value: Dirent64{}, C: "struct dirent64", Headers: "dirent.h", Fields: "d_ino d_off d_reclen d_type d_name@", Part: true},
	{Value: Dirent{}, Fields: "- - - -"},
	{Value: Termios{}, C: "struct termios", Headers: "asm/termbits.h", Fields: "c_iflag c_oflag c_cflag c_lflag c_line c_cc"},
	{Value: PselectMask{}, Fields: "- -"},

	{Value: ElfPrstatus{}, C: "struct elf_prstatus", Headers: "sys/procfs.h",
		Fields: "pr_info pr_cursig - pr_sigpend pr_sighold pr_pid pr_ppid pr_pgrp pr_sid pr_utime pr_stime pr_cutime pr_cstime pr_reg pr_fpvalid -"},
	{Value: UserRegs{}, C: "struct user_regs_struct", Headers: "sys/user.h",
		Fields: "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs"},
	{Value: ElfPrpsinfo{}, C: "struct elf_prpsinfo", Headers: "sys/procfs.h",
		Fields: "pr_state pr_sname pr_zomb pr_nice - pr_flag pr_uid pr_gid pr_pid pr_ppid pr_pgrp pr_sid pr_fname pr_psargs"},

	{Value: Sigaction{}, C: "struct sigaction", Headers: signalHeaders, Fields: "sa_handler sa_flags sa_restorer sa_mask"},
	{Value: Stack{}, C: "stack_t", Headers: signalHeaders, Fields: "ss_sp ss_flags - ss_size"},
	{Value: Sigcontext{}, C: "struct sigcontext", Headers: signalHeaders,
		Fields: "r8 r9 r10 r11 r12 r13 r14 r15 rdi rsi rbp rbx rdx rax rcx rsp rip eflags cs gs fs ss err trapno oldmask cr2 fpstate reserved1"},
	{Value: UContext{}, C: "struct ucontext", Headers: signalHeaders, Fields: "uc_flags uc_link uc_stack uc_mcontext uc_sigmask"},
	{Value: RTSigframe{}, Fields: "- - -"},
	{Value: FPXSWBytes{}, C: "struct _fpx_sw_bytes", Headers: signalHeaders,
		Fields: "magic1 extended_size xfeatures xstate_size padding"},
	{Value: Sigevent{}, C: "struct sigevent", Headers: signalHeaders, Fields: "sigev_value sigev_signo sigev_notify _sigev_un._tid -"},
	{Value: SignalfdSiginfo{}, C: "struct signalfd_siginfo", Headers: "linux/signalfd.h",
		Fields: "ssi_signo ssi_errno ssi_code ssi_pid ssi_uid ssi_fd ssi_tid ssi_band ssi_overrun ssi_trapno ssi_status ssi_int" +
			" ssi_ptr ssi_utime ssi_stime ssi_addr ssi_addr_lsb __pad2 ssi_syscall ssi_call_addr ssi_arch __pad"},

	{Value: Siginfo{}, C: "siginfo_t", Headers: signalHeaders, Fields: "si_signo si_errno si_code - _sifields@"},
	{Value: SiginfoKill{}, C: "__typeof__(((siginfo_t *)0)->_sifields._kill)", Headers: signalHeaders, Fields: "_pid _uid"},
	{Value: SiginfoTimer{}, C: "__typeof__(((siginfo_t *)0)->_sifields._timer)", Headers: signalHeaders,
		Fields: "_tid _overrun _sigval", Part: true},
	{Value: SiginfoRT{}, C: "__typeof__(((siginfo_t *)0)->_sifields._rt)", Headers: signalHeaders, Fields: "_pid _uid _sigval"},
	{Value: SiginfoChild{}, C: "__typeof__(((siginfo_t *)0)->_sifields._sigchld)", Headers: signalHeaders,
		Fields: "_pid _uid _status - _utime _stime"},
	{Value: SiginfoFault{}, C: "__typeof__(((siginfo_t *)0)->_sifields._sigfault)", Headers: signalHeaders,
		Fields: "_addr _addr_lsb -", Part: true},
	{Value: SiginfoSys{}, C: "__typeof__(((siginfo_t *)0)->_sifields._sigsys)", Headers: signalHeaders,
		Fields: "_call_addr _syscall _arch"},

	{Value: SeccompData{}, C: "struct seccomp_data", Headers: "linux/seccomp.h", Fields: "nr arch instruction_pointer args"},
	{Value: SeccompNotif{}, C: "struct seccomp_notif", Headers: "linux/seccomp.h", Fields: "id pid flags data"},
	{Value: SeccompNotifResp{}, C: "struct seccomp_notif_resp", Headers: "linux/seccomp.h", Fields: "id val error flags"},
	{Value: SeccompNotifAddFD{}, C: "struct seccomp_notif_addfd", Headers: "linux/seccomp.h", Fields: "id flags srcfd newfd newfd_flags"},
	{Value: SeccompNotifSizes{}, C: "struct seccomp_notif_sizes", Headers: "linux/seccomp.h",
		Fields: "seccomp_notif seccomp_notif_resp seccomp_data"},
	{Value: SeccompMetadata{}, C: "struct seccomp_metadata", Headers: "linux/ptrace.h", Fields: "filter_off flags"},
	{Value: PtraceSudConfig{}, Fields: "- - - -"}, // the headers of Linux 6.1 lack it
	{Value: SockFilter{}, C: "struct sock_filter", Headers: "linux/filter.h", Fields: "code jt jf k"},
	{Value: SockFprog{}, C: "struct sock_fprog", Headers: "linux/filter.h", Fields: "len - filter"},

	{Value: Msghdr{}, C: "struct msghdr", Headers: socketHeaders,
		Fields: "msg_name msg_namelen - msg_iov msg_iovlen msg_control msg_controllen msg_flags -"},
	{Value: Mmsghdr{}, C: "struct mmsghdr", Headers: socketHeaders, Fields: "msg_hdr msg_len -"},

	{Value: Rseq{}, C: "struct rseq", Headers: "linux/rseq.h", Fields: "cpu_id_start cpu_id rseq_cs flags -", Part: true},
	{Value: RseqCS{}, C: "struct rseq_cs", Headers: "linux/rseq.h", Fields: "version flags start_ip post_commit_offset abort_ip"},
	{Value: RSeqConfiguration{}, C: "struct ptrace_rseq_configuration", Headers: "linux/ptrace.h",
		Fields: "rseq_abi_pointer rseq_abi_size signature flags pad"},
	{Value: PrctlMMMap{}, C: "struct prctl_mm_map", Headers: "linux/prctl.h",
		Fields: "start_code end_code start_data end_data start_brk brk start_stack arg_start arg_end env_start env_end auxv auxv_size exe_fd"},
	{Value: RobustListHead{}, C: "struct robust_list_head", Headers: "linux/futex.h", Fields: "list futex_offset list_op_pending"},
	{Value: FutexWaitv{}, C: "struct futex_waitv", Headers: "linux/futex.h", Fields: "val uaddr flags __reserved"},
	{Value: CloneArgs{}, C: "struct clone_args", Headers: "linux/sched.h",
		Fields: "flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid set_tid_size cgroup", Part: true},
	{Value: AuxEntry{}, C: "Elf64_auxv_t", Headers: "elf.h", Fields: "a_type a_un.a_val"},

	{Value: Sysinfo{}, C: "struct sysinfo", Headers: "linux/sysinfo.h",
		Fields: "uptime loads totalram freeram sharedram bufferram totalswap freeswap procs pad - totalhigh freehigh mem_unit -"},
	{Value: Timex{}, C: "struct __kernel_timex", Headers: "linux/timex.h",
		Fields: "modes - offset freq maxerror esterror status - constant precision tolerance time.tv_sec time.tv_usec tick ppsfreq jitter" +
			" shift - stabil jitcnt calcnt errcnt stbcnt tai -"},
	{Value: Timezone{}, C: "struct timezone", Headers: "linux/time.h", Fields: "tz_minuteswest tz_dsttime"},
	{Value: Elf64Ehdr{}, C: "Elf64_Ehdr", Headers: "linux/elf.h",
		Fields: "e_ident e_type e_machine e_version e_entry e_phoff e_shoff e_flags e_ehsize e_phentsize e_phnum e_shentsize e_shnum e_shstrndx"},
	{Value: Elf64Phdr{}, C: "Elf64_Phdr", Headers: "linux/elf.h",
		Fields: "p_type p_flags p_offset p_vaddr p_paddr p_filesz p_memsz p_align"},

	{Value: unix.Timespec{}, C: "struct __kernel_timespec", Headers: "linux/time_types.h", Fields: "tv_sec tv_nsec"},
	{Value: unix.Timeval{}, C: "struct timeval", Headers: "linux/time.h", Fields: "tv_sec tv_usec"},
	{Value: unix.ItimerSpec{}, C: "struct __kernel_itimerspec", Headers: "linux/time_types.h", Fields: "it_interval it_value"},
	{Value: unix.Itimerval{}, C: "struct itimerval", Headers: "linux/time.h", Fields: "it_interval it_value"},
	{Value: unix.Tms{}, C: "struct tms", Headers: "linux/times.h", Fields: "tms_utime tms_stime tms_cutime tms_cstime"},
	{Value: unix.Utimbuf{}, C: "struct utimbuf", Headers: "linux/utime.h", Fields: "actime modtime"},
	{Value: unix.Rusage{}, C: "struct rusage", Headers: "linux/resource.h",
		Fields: "ru_utime ru_stime ru_maxrss ru_ixrss ru_idrss ru_isrss ru_minflt ru_majflt ru_nswap ru_inblock ru_oublock" +
			" ru_msgsnd ru_msgrcv ru_nsignals ru_nvcsw ru_nivcsw"},
	{Value: unix.Rlimit{}, C: "struct rlimit64", Headers: "linux/resource.h", Fields: "rlim_cur rlim_max"},
	{Value: unix.Statfs_t{}, C: "struct statfs", Headers: "asm/statfs.h",
		Fields: "f_type f_bsize f_blocks f_bfree f_bavail f_files f_ffree f_fsid f_namelen f_frsize f_flags f_spare"},
	{Value: unix.Utsname{}, C: "struct new_utsname", Headers: "linux/utsname.h",
		Fields: "sysname nodename release version machine domainname"},
	{Value: unix.PollFd{}, C: "struct pollfd", Headers: "asm/poll.h", Fields: "fd events revents"},
	{Value: unix.Termios{}, C: "struct termios2", Headers: "asm/termbits.h",
		Fields: "c_iflag c_oflag c_cflag c_lflag c_line c_cc c_ispeed c_ospeed"},
	{Value: unix.Winsize{}, C: "struct winsize", Headers: "asm/termios.h", Fields: "ws_row ws_col ws_xpixel ws_ypixel"},
	{Value: unix.OpenHow{}, C: "struct open_how", Headers: "linux/openat2.h", Fields: "flags mode resolve"},
	{Value: unix.Cmsghdr{}, C: "struct cmsghdr", Headers: socketHeaders, Fields: "cmsg_len cmsg_level cmsg_type"},
	{Value: unix.Ucred{}, C: "struct ucred", Headers: socketHeaders, Fields: "pid uid gid"},
	{Value: unix.Linger{}, C: "struct linger", Headers: socketHeaders, Fields: "l_onoff l_linger"},
	{Value: unix.CapUserHeader{}, C: "struct __user_cap_header_struct", Headers: "linux/capability.h", Fields: "version pid"},
	{Value: unix.CapUserData{}, C: "struct __user_cap_data_struct", Headers: "linux/capability.h",
		Fields: "effective permitted inheritable"},
}

// TestStructuresHaveNoHiddenPadding: hidden padding and blank fields may hold
// kernel memory, and a field whose size depends on the architecture is no part
// of an ABI.
func TestStructuresHaveNoHiddenPadding(t *testing.T) { layouttest.CheckPadding(t, layouts) }

// TestEveryStructureHasARow: a structure that is not compared with Linux's
// headers may be wrong.
func TestEveryStructureHasARow(t *testing.T) {
	const (
		union  = "SiginfoFields"
		number = "Layout"
	)
	layouttest.CheckComplete(t, layouts, "UserMemory", union, number)
}

// TestLayoutsMatchLinuxHeaders compares each structure with Linux's headers, as
// the C compiler lays them out.
func TestLayoutsMatchLinuxHeaders(t *testing.T) { layouttest.Check(t, layouts) }

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
