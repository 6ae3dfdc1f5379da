package compat

import (
	"testing"

	"slowpath/abi/layouttest"
)

const (
	socketHeaders = "sys/socket.h"
	signalHeaders = "asm/signal.h asm/siginfo.h asm/sigcontext.h asm/ucontext.h"
)

// layouts has every structure that the kernel and 32-bit programs exchange. The
// declarations are those of structures that only the kernel's own headers have. Linux's
// header for programs gives sigset_t one word of the two.
var layouts = []layouttest.Row{
	{Value: Ehdr{}, C: "Elf32_Ehdr", Headers: "linux/elf.h",
		Fields: "e_ident e_type e_machine e_version e_entry e_phoff e_shoff e_flags e_ehsize e_phentsize e_phnum e_shentsize e_shnum e_shstrndx"},
	{Value: Phdr{}, C: "Elf32_Phdr", Headers: "linux/elf.h",
		Fields: "p_type p_offset p_vaddr p_paddr p_filesz p_memsz p_flags p_align"},
	{Value: AuxEntry{}, C: "Elf32_auxv_t", Headers: "elf.h", Fields: "a_type a_un.a_val"},
	{Value: UserRegs{}, C: "struct user_regs_struct", Headers: "sys/user.h",
		Fields: "ebx ecx edx esi edi ebp eax xds xes xfs xgs orig_eax eip xcs eflags esp xss"},
	{Value: ElfPrstatus{}, C: "struct elf_prstatus", Headers: "sys/procfs.h",
		Fields: "pr_info pr_cursig - pr_sigpend pr_sighold pr_pid pr_ppid pr_pgrp pr_sid pr_utime pr_stime pr_cutime pr_cstime pr_reg pr_fpvalid"},
	{Value: ElfPrpsinfo{}, C: "struct elf_prpsinfo", Headers: "sys/procfs.h",
		Fields: "pr_state pr_sname pr_zomb pr_nice pr_flag pr_uid pr_gid pr_pid pr_ppid pr_pgrp pr_sid pr_fname pr_psargs"},

	{Value: Stat{}, C: "struct stat", Headers: "asm/stat.h",
		Fields: "st_dev st_ino st_mode st_nlink st_uid st_gid st_rdev st_size st_blksize st_blocks st_atime st_atime_nsec" +
			" st_mtime st_mtime_nsec st_ctime st_ctime_nsec __unused4 __unused5"},
	{Value: Stat64{}, C: "struct stat64", Headers: "asm/stat.h",
		Fields: "st_dev __pad0 __st_ino st_mode st_nlink st_uid st_gid st_rdev __pad3 st_size st_blksize st_blocks" +
			" st_atime st_atime_nsec st_mtime st_mtime_nsec st_ctime st_ctime_nsec st_ino"},
	{Value: OldStat{}, C: "struct __old_kernel_stat", Headers: "asm/stat.h",
		Fields: "st_dev st_ino st_mode st_nlink st_uid st_gid st_rdev - st_size st_atime st_mtime st_ctime"},
	{Value: Statfs{}, C: "struct statfs", Headers: "asm/statfs.h",
		Fields: "f_type f_bsize f_blocks f_bfree f_bavail f_files f_ffree f_fsid f_namelen f_frsize f_flags f_spare"},
	{Value: Statfs64{}, C: "struct statfs64", Headers: "asm/statfs.h",
		Fields: "f_type f_bsize f_blocks f_bfree f_bavail f_files f_ffree f_fsid f_namelen f_frsize f_flags f_spare"},
	{Value: Dirent{}, C: "struct linux_dirent", Part: true,
		Declaration: "struct linux_dirent { unsigned long d_ino, d_off; unsigned short d_reclen; char d_name[]; };",
		Fields:      "d_ino d_off d_reclen -"},
	{Value: Flock{}, C: "struct flock", Headers: "asm/fcntl.h", Fields: "l_type l_whence l_start l_len l_pid"},
	{Value: Flock64{}, C: "struct flock64", Headers: "asm/fcntl.h", Fields: "l_type l_whence l_start l_len l_pid"},
	{Value: Iovec{}, C: "struct iovec", Headers: "linux/uio.h", Fields: "iov_base iov_len"},
	{Value: PselectMask{}, C: "struct argpack",
		Declaration: "struct argpack { unsigned long *p; unsigned int size; };", Fields: "p size"},
	{Value: SelectArguments{}, C: "struct sel_arg",
		Declaration: "struct sel_arg { unsigned long n; void *inp, *outp, *exp, *tvp; };", Fields: "n inp outp exp tvp"},
	{Value: MmapArguments{}, C: "struct mmap_arg",
		Declaration: "struct mmap_arg { unsigned int addr, len, prot, flags, fd, offset; };", Fields: "addr len prot flags fd offset"},

	{Value: UserRegs{}, C: "struct user_regs_struct", Headers: "sys/user.h",
		Fields: "ebx ecx edx esi edi ebp eax xds xes xfs xgs orig_eax eip xcs eflags esp xss"},
	{Value: ElfPrstatus{}, C: "struct elf_prstatus", Headers: "sys/procfs.h",
		Fields: "pr_info pr_cursig - pr_sigpend pr_sighold pr_pid pr_ppid pr_pgrp pr_sid pr_utime pr_stime pr_cutime pr_cstime pr_reg pr_fpvalid"},
	{Value: ElfPrpsinfo{}, C: "struct elf_prpsinfo", Headers: "sys/procfs.h",
		Fields: "pr_state pr_sname pr_zomb pr_nice pr_flag pr_uid pr_gid pr_pid pr_ppid pr_pgrp pr_sid pr_fname pr_psargs"},

	{Value: Sigaction{}, C: "struct rt_sigaction",
		Declaration: "struct rt_sigaction { void *handler; unsigned long flags; void *restorer; unsigned long mask[2]; };",
		Fields:      "handler flags restorer mask"},
	{Value: OldSigaction{}, C: "struct sigaction", Headers: signalHeaders, Fields: "_u sa_mask sa_flags sa_restorer"},
	{Value: Stack{}, C: "stack_t", Headers: signalHeaders, Fields: "ss_sp ss_flags ss_size"},
	{Value: Siginfo{}, C: "siginfo_t", Headers: signalHeaders, Fields: "si_signo si_errno si_code _sifields@"},
	{Value: Sigcontext{}, C: "struct sigcontext", Headers: signalHeaders,
		Fields: "gs+__gsh fs+__fsh es+__esh ds+__dsh edi esi ebp esp ebx edx ecx eax trapno err eip cs+__csh eflags esp_at_signal ss+__ssh fpstate oldmask cr2"},
	{Value: UContext{}, C: "struct ucontext", Headers: signalHeaders, Part: true,
		Fields: "uc_flags uc_link uc_stack uc_mcontext uc_sigmask@"},
	{Value: Sigframe{}, C: "struct sigframe", Headers: signalHeaders,
		Declaration: "struct sigframe { unsigned pretcode; int sig; struct sigcontext sc; struct _fpstate_32 unused; unsigned extramask[1]; char retcode[8]; };",
		Fields:      "pretcode sig sc unused extramask retcode"},
	{Value: RTSigframe{}, C: "struct rt_sigframe", Headers: signalHeaders,
		Declaration: "struct context { unsigned flags, link; stack_t stack; struct sigcontext mcontext; unsigned long sigmask[2]; };" +
			"struct rt_sigframe { unsigned pretcode; int sig; unsigned pinfo, puc; siginfo_t info; struct context uc; char retcode[8]; };",
		Fields: "pretcode sig pinfo puc info uc retcode"},
	{Value: FSave{}, C: "struct _fpstate_32", Headers: signalHeaders, Part: true,
		Fields: "cw sw tag ipoff cssel dataoff datasel _st status magic"},
	{Value: Sigevent{}, C: "struct sigevent", Headers: signalHeaders, Fields: "sigev_value sigev_signo sigev_notify _sigev_un._tid -"},

	{Value: Msghdr{}, C: "struct msghdr", Headers: socketHeaders,
		Fields: "msg_name msg_namelen msg_iov msg_iovlen msg_control msg_controllen msg_flags"},
	{Value: Cmsghdr{}, C: "struct cmsghdr", Headers: socketHeaders, Fields: "cmsg_len cmsg_level cmsg_type"},
	{Value: Mmsghdr{}, C: "struct mmsghdr", Headers: socketHeaders, Fields: "msg_hdr msg_len"},
	{Value: Sysinfo{}, C: "struct sysinfo", Headers: "linux/sysinfo.h",
		Fields: "uptime loads totalram freeram sharedram bufferram totalswap freeswap procs pad totalhigh freehigh mem_unit _f"},
	{Value: RobustListHead{}, C: "struct robust_list_head", Headers: "linux/futex.h", Fields: "list futex_offset list_op_pending"},
	{Value: SockFprog{}, C: "struct sock_fprog", Headers: "linux/filter.h", Fields: "len - filter"},
	{Value: UserDesc{}, C: "struct user_desc", Headers: "asm/ldt.h", Fields: "entry_number base_addr limit -"},

	{Value: Timespec{}, C: "struct timespec", Headers: "linux/time.h", Fields: "tv_sec tv_nsec"},
	{Value: Timeval{}, C: "struct timeval", Headers: "linux/time.h", Fields: "tv_sec tv_usec"},
	{Value: Utimbuf{}, C: "struct utimbuf", Headers: "linux/utime.h", Fields: "actime modtime"},
	{Value: Timex{}, C: "struct timex", Headers: "linux/timex.h",
		Fields: "modes offset freq maxerror esterror status constant precision tolerance time tick ppsfreq jitter shift stabil" +
			" jitcnt calcnt errcnt stbcnt tai -"},
	{Value: Tms{}, C: "struct tms", Headers: "linux/times.h", Fields: "tms_utime tms_stime tms_cutime tms_cstime"},
	{Value: Rusage{}, C: "struct rusage", Headers: "linux/resource.h",
		Fields: "ru_utime ru_stime ru_maxrss ru_ixrss ru_idrss ru_isrss ru_minflt ru_majflt ru_nswap ru_inblock ru_oublock" +
			" ru_msgsnd ru_msgrcv ru_nsignals ru_nvcsw ru_nivcsw"},
	{Value: Rlimit{}, C: "struct rlimit", Headers: "linux/resource.h", Fields: "rlim_cur rlim_max"},
}

func TestStructuresHaveNoHiddenPadding(t *testing.T) { layouttest.CheckPadding(t, layouts) }

func TestEveryStructureHasARow(t *testing.T) {
	const member = "Uint64"
	layouttest.CheckComplete(t, layouts, member)
}

// TestLayoutsMatchLinuxHeadersFor32Bits compares each structure with Linux's headers, as
// gcc -m32 lays them out.
func TestLayoutsMatchLinuxHeadersFor32Bits(t *testing.T) { layouttest.Check(t, layouts, "-m32") }
