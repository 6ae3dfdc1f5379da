/* Passes every kind of bad pointer to system calls. With the argument "show" it
 * prints the results of selected harmless calls. With "all" it tries all calls,
 * which may do damage on a machine that is not disposable. */
#include "report.h"

static long bad[] = {
	0, 1, 0xfff, -1, -4096, 0x7ffffffff000, 0x7fffffffffff, 0x800000000000, (long)0x8000000000000000,
	(long)0xffff800000000000, (long)0xffffffff80200000, 0x123456789000, 0 /* read-only */, 0 /* end of a page */,
};
enum { KINDS = sizeof bad / sizeof *bad };

/* Calls that end or stop this program if they succeed, or that block for ever. */
static const int never[] = {
	SYS_exit, SYS_exit_group, SYS_fork, SYS_vfork, SYS_clone, SYS_clone3, SYS_pause, SYS_rt_sigreturn, SYS_kill, SYS_tkill,
	SYS_tgkill, SYS_reboot, SYS_rt_sigsuspend, SYS_alarm, SYS_setrlimit, SYS_prlimit64, SYS_munmap, SYS_mprotect, SYS_mremap,
	SYS_brk, SYS_shmdt, SYS_arch_prctl, SYS_seccomp, SYS_close_range, SYS_chroot, SYS_pivot_root, SYS_vhangup, SYS_dup2,
	SYS_madvise, SYS_pkey_mprotect, SYS_remap_file_pages, SYS_mmap, SYS_close, SYS_rt_sigprocmask, SYS_ptrace, SYS_setitimer,
	SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_poll, SYS_futex, SYS_futex_waitv, SYS_wait4, SYS_waitid,
};

static int skipped(int number)
{
	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		if (never[i] == number)
			return 1;
	return 0;
}

/* Makes each call in a child, because some calls change the process. An alarm
 * ends calls that block. */
static void everything(void)
{
	int ends = 0;
	for (int number = 0; number < 460; number++) {
		if (skipped(number))
			continue;
		pid_t pid = MUST(fork());
		if (pid == 0) {
			/* The calls must not write to this program's output. */
			int null = open("/dev/null", O_RDWR);
			dup2(null, 0), dup2(null, 1), dup2(null, 2);
			alarm(5);
			for (int i = 0; i < KINDS; i++) {
				syscall(number, bad[i], bad[i], bad[i], bad[i], bad[i], bad[i]);
				syscall(number, 0, bad[i], 8, bad[i], 8, bad[i]);
				syscall(number, 1, bad[i], 1L << 40, bad[i], 64, bad[i]);
				syscall(number, bad[i], 4096, bad[i], 0, bad[i], 0);
				syscall(number, -100, bad[i], 0, 0, 0, 0);
			}
			_exit(0);
		}
		int status;
		MUST(waitpid(pid, &status, 0));
		if (WIFSIGNALED(status) && WTERMSIG(status) != SIGALRM && WTERMSIG(status) != SIGPIPE)
			printf("call %d: signal %d\n", number, WTERMSIG(status));
		ends++;
	}
	printf("%d calls returned\n", ends);
}

static const struct {
	const char *name;
	long number, arguments[6];
	int pointer; /* the index of the argument that is replaced */
} calls[] = {
	{"read", SYS_read, {3, 0, 8}, 1}, {"write", SYS_write, {3, 0, 8}, 1}, {"open", SYS_open, {0}, 0},
	{"stat", SYS_stat, {0, (long)&bad}, 0}, {"fstat", SYS_fstat, {3}, 1}, {"lstat", SYS_lstat, {0, (long)&bad}, 0},
	{"readv", SYS_readv, {3, 0, 2}, 1}, {"writev", SYS_writev, {3, 0, 2}, 1}, {"access", SYS_access, {0}, 0},
	{"pipe", SYS_pipe, {0}, 0}, {"nanosleep", SYS_nanosleep, {0}, 0}, {"uname", SYS_uname, {0}, 0},
	{"getcwd", SYS_getcwd, {0, 4096}, 0}, {"chdir", SYS_chdir, {0}, 0}, {"rename", SYS_rename, {(long)"/x", 0}, 1},
	{"mkdir", SYS_mkdir, {0}, 0}, {"unlink", SYS_unlink, {0}, 0}, {"symlink", SYS_symlink, {0, (long)"/x"}, 0},
	{"readlink", SYS_readlink, {(long)"/proc/self/exe", 0, 64}, 1}, {"sysinfo", SYS_sysinfo, {0}, 0},
	{"rt_sigaction", SYS_rt_sigaction, {10, 0, 0, 8}, 1}, {"sigaltstack", SYS_sigaltstack, {0, 0}, 0},
	{"getgroups", SYS_getgroups, {64, 0}, 1}, {"clock_gettime", SYS_clock_gettime, {1, 0}, 1},
	{"getrandom", SYS_getrandom, {0, 16}, 0}, {"getdents64", SYS_getdents64, {4, 0, 512}, 1},
	{"execve", SYS_execve, {0}, 0}, 
	{"getrusage", SYS_getrusage, {0, 0}, 1}, {"epoll_ctl", SYS_epoll_ctl, {5, 1, 0, 0}, 3},
	{"poll", SYS_poll, {0, 2, 0}, 0}, {"getitimer", SYS_getitimer, {0, 0}, 1}, {"statx", SYS_statx, {4, (long)"", 0x1000, 0xfff, 0}, 4},
	{"prlimit64", SYS_prlimit64, {0, 7, 0, 0}, 3}, {"sched_getaffinity", SYS_sched_getaffinity, {0, 128, 0}, 2},
	{"times", SYS_times, {0}, 0}, {"statfs", SYS_statfs, {(long)"/", 0}, 1}, {"getresuid", SYS_getresuid, {0, (long)&bad, (long)&bad}, 0},
	{"socketpair", SYS_socketpair, {1, 1, 0, 0}, 3}, {"capget", SYS_capget, {0, 0}, 0}, {"utimensat", SYS_utimensat, {-100, 0, 0, 0}, 1},
};

static void show(void)
{
	MUST(open("/dev/zero", O_RDWR));
	MUST(open("/tmp", O_RDONLY));
	MUST(syscall(SYS_epoll_create1, 0));
	for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
		printf("%s:", calls[c].name);
		for (int i = 0; i < KINDS - 2; i++) {
			long a[6];
			memcpy(a, calls[c].arguments, sizeof a);
			a[calls[c].pointer] = bad[i];
			pid_t pid = MUST(vfork());
			if (pid == 0) {
				long result = syscall(calls[c].number, a[0], a[1], a[2], a[3], a[4], a[5]);
				_exit(result == -1 ? errno : 0);
			}
			int status;
			MUST(waitpid(pid, &status, 0));
			printf(" %x", status);
		}
		printf("\n");
	}
}

int main(int argc, char **argv)
{
	setbuf(stdout, NULL);
	char *pages = (char *)MUST(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	MUST(munmap(pages + 4096, 4096));
	bad[KINDS - 1] = (long)pages + 4095;
	bad[KINDS - 2] = (long)main;
	if (argc > 1 && !strcmp(argv[1], "all"))
		everything();
	else
		show();
	return 8;
}
