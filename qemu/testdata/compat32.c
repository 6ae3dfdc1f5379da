/* Makes the calls that only 32-bit programs have, and calls whose structures differ for them,
 * by INT 0x80. It is built with -m32. */
#include "report.h"
#include <asm/ldt.h>
#include <stdarg.h>
#include <linux/futex.h>
#include <linux/perf_event.h>
#include <linux/time_types.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <ucontext.h>

/* Numbers that the C library's header leaves out, or names otherwise. */
enum { OLDSTAT = 18, OLDFSTAT = 28, OLDLSTAT = 84, OLDUNAME = 109, OLDOLDUNAME = 59, OLD_SELECT = 82, OLD_MMAP = 90 };

/* A system call with arguments of 32 bits. A failure returns a negative error number. */
static long call(long number, ...)
{
	long registers[7], result;
	va_list list;
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		registers[i] = va_arg(list, long);
	va_end(list);
	registers[6] = number;
	asm volatile("push %%ebp\n\t"
		     "push %%ebx\n\t"
		     "mov 4(%%eax), %%ecx\n\t"
		     "mov 8(%%eax), %%edx\n\t"
		     "mov 12(%%eax), %%esi\n\t"
		     "mov 16(%%eax), %%edi\n\t"
		     "mov 20(%%eax), %%ebp\n\t"
		     "mov (%%eax), %%ebx\n\t"
		     "mov 24(%%eax), %%eax\n\t"
		     "int $0x80\n\t"
		     "pop %%ebx\n\t"
		     "pop %%ebp"
		     : "=a"(result)
		     : "a"(registers)
		     : "ecx", "edx", "esi", "edi", "memory", "cc");
	return result;
}
#define CALL(...) call(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define TELL(...) printf("%s = %ld\n", #__VA_ARGS__, CALL(__VA_ARGS__))

static uint32_t words[64];
static uint16_t *halves = (uint16_t *)words;

static void wipe(void) { memset(words, 0x5a, sizeof words); }

/* Prints how many of the words a call has written. */
static void written(const char *what)
{
	int n = sizeof words;
	while (n > 0 && ((unsigned char *)words)[n - 1] == 0x5a)
		n--;
	printf("%s: %d bytes\n", what, n);
}

static void status(void)
{
	int fd = MUST(open("file", O_RDWR | O_CREAT | O_TRUNC, 0640));
	MUST(write(fd, "0123456789", 10));
	int null = MUST(open("/dev/null", O_RDWR)); /* its inode has 16 bits */
	struct { const char *name; int number, first; } calls[] = {
		{"oldstat", OLDSTAT, (long)"/dev/null"}, {"oldlstat", OLDLSTAT, (long)"/dev/null"}, {"oldfstat", OLDFSTAT, null},
		{"stat", SYS_stat, (long)"file"}, {"lstat", SYS_lstat, (long)"file"}, {"fstat", SYS_fstat, fd},
		{"stat64", SYS_stat64, (long)"file"}, {"lstat64", SYS_lstat64, (long)"file"}, {"fstat64", SYS_fstat64, fd},
	};
	for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
		wipe();
		long result = CALL(calls[i].number, calls[i].first, words);
		int kind = i / 3, mode[] = {halves[2], halves[4], words[4]}, size[] = {words[4], words[5], words[11]},
		    links[] = {halves[3], halves[5], words[5]};
		printf("%s = %ld mode %o size %d links %d\n", calls[i].name, result, mode[kind], size[kind], links[kind]);
		written(calls[i].name);
	}
	TELL(SYS_fstatat64, AT_FDCWD, "file", words, 0);
	TELL(SYS_stat64, "file", 1);
	TELL(OLDSTAT, "none", words);
	for (int size = 63; size < 90; size += 7) {
		wipe();
		TELL(SYS_statfs64, "file", size, words);
	}
	wipe();
	TELL(SYS_statfs64, "file", 84, words);
	written("statfs64");
	wipe();
	TELL(SYS_fstatfs64, fd, 84, words);
	written("fstatfs64");
	wipe();
	TELL(SYS_statfs, "/proc", words);
	written("statfs");
	printf("type %x name %d\n", words[0], words[9]);
	close(fd);
}

static void offsets(void)
{
	long long to = -1;
	int fd = MUST(open("big", O_RDWR | O_CREAT | O_TRUNC, 0640));
	TELL(SYS__llseek, fd, 1, 5, &to, SEEK_SET);
	printf("at %llx\n", to);
	TELL(SYS__llseek, fd, -1, -6, &to, SEEK_CUR);
	printf("at %llx\n", to);
	TELL(SYS_lseek, fd, 0, SEEK_CUR);
	TELL(SYS__llseek, fd, 0, 7, 0, SEEK_SET);
	TELL(SYS__llseek, fd, 0, 7, &to, 9);
	TELL(SYS_lseek, fd, -1, SEEK_SET);
	TELL(SYS_ftruncate64, fd, 0x1000, 1);
	TELL(SYS_pwrite64, fd, "abc", 3, 0x7ffffffd, 0);
	TELL(SYS_pwrite64, fd, "abc", 3, 0, 1);
	close(fd);
	fd = MUST(open("big", O_RDWR | 0100000 /* O_LARGEFILE */));
	TELL(SYS_ftruncate64, fd, 0x1000, 1);
	TELL(SYS_lseek, fd, 0, SEEK_END);
	TELL(SYS_stat, "big", words);
	TELL(SYS_open, "big", O_RDONLY);
	TELL(SYS_open, "big", O_RDONLY | O_DIRECTORY);
	TELL(SYS_truncate, "big", -1);
	TELL(SYS_truncate64, "big", 8, 0);
	TELL(SYS_pwrite64, fd, "abcdefgh", 8, 0, 0);
	TELL(SYS_pread64, fd, words, 3, 2, 0);
	printf("read %.3s\n", (char *)words);
	TELL(SYS_pread64, fd, words, 3, 2, 1);
	TELL(SYS_pread64, fd, words, 3, 0, -1);
	struct iovec parts[2] = {{words, 2}, {(char *)words + 2, 4}}, bad[1] = {{words, -1}};
	TELL(SYS_preadv, fd, parts, 2, 1, 0);
	printf("read %.6s\n", (char *)words);
	TELL(SYS_readv, fd, bad, 1);
	TELL(SYS_fallocate, fd, 0, 0, 0, 100, 0);
	TELL(SYS_fadvise64, fd, 0, 0, 4096, POSIX_FADV_NORMAL);
	TELL(SYS_fadvise64_64, fd, 0, 0, 4096, 0, 99);
	TELL(SYS_sync_file_range, fd, 0, 0, 100, 0, 0);
	TELL(SYS_sendfile64, 1, fd, 0, 0);
	close(fd);
}

static void mappings(void)
{
	int fd = MUST(open("pages", O_RDWR | O_CREAT | O_TRUNC, 0600));
	MUST(ftruncate(fd, 3 * 4096));
	MUST(pwrite(fd, "one", 4, 4096));
	long old[6] = {0, 4096, PROT_READ, MAP_SHARED, fd, 4096}, odd[6] = {0, 4096, PROT_READ, MAP_SHARED, fd, 17};
	long at = CALL(OLD_MMAP, old);
	printf("mmap: %s\n", (unsigned long)at < -4095UL ? (char *)at : "failed");
	TELL(OLD_MMAP, odd);
	TELL(OLD_MMAP, 1);
	at = CALL(SYS_mmap2, 0, 4096, PROT_READ, MAP_PRIVATE, fd, 1);
	printf("mmap2: %s\n", (unsigned long)at < -4095UL ? (char *)at : "failed");
	TELL(SYS_mmap2, 0xfffff000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	TELL(SYS_munmap, 0xfffff000, 8192);
	TELL(SYS_mremap, at, 4096, 0x80000000, 0);
	int *local;
	printf("the stack is in the last quarter: %d\n", (unsigned long)&local >= 0xc0000000);
	close(fd);
}

static void identities(void)
{
	long all[] = {CALL(SYS_getuid), CALL(SYS_geteuid), CALL(SYS_getgid), CALL(SYS_getegid), CALL(SYS_getuid32)};
	printf("ids %ld %ld %ld %ld %ld\n", all[0], all[1], all[2], all[3], all[4]);
	wipe();
	TELL(SYS_getresuid, words, &halves[1], &halves[2]);
	written("getresuid");
	int code = IN_A_CHILD({
		uint16_t groups[] = {1, 0xffff, 3};
		TELL(SYS_setgroups, 3, groups);
		TELL(SYS_setgroups32, 1, &(int[]){-1});
		groups[1] = 0xfffe;
		TELL(SYS_setgroups, 3, groups);
		wipe();
		TELL(SYS_getgroups, 64, words);
		printf("groups %x %x %x\n", halves[0], halves[1], halves[2]);
		TELL(SYS_getgroups32, 64, words);
		printf("groups %x %x %x\n", words[0], words[1], words[2]);
		TELL(SYS_getgroups, 1, words);
		TELL(SYS_setresgid, 0xffff, 5, -1);
		TELL(SYS_setresuid32, -1, 70000, -1);
		TELL(SYS_geteuid);
		TELL(SYS_geteuid32);
		TELL(SYS_getegid);
		TELL(SYS_setuid, 7);
		TELL(SYS_setfsuid, 0xffff);
		TELL(SYS_setfsuid32, -1);
		TELL(SYS_nice, -5);
	});
	printf("status %x\n", code);
	MUST(close(MUST(open("owned", O_CREAT | O_RDWR, 0600))));
	TELL(SYS_chown, "owned", 0xffff, 9);
	TELL(SYS_lchown, "owned", 8, 0xffff);
	struct stat st;
	MUST(stat("owned", &st));
	printf("owner %d %d\n", st.st_uid, st.st_gid);
	TELL(SYS_chown32, "owned", 100000, 100001);
	TELL(SYS_stat, "owned", words);
	printf("owner %x %x\n", halves[6], halves[7]);
}

static volatile int taken;
static void old_handler(int number) { taken = number; }

static void info_handler(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *r = uc->uc_mcontext.gregs;
	printf("signal %d info %d code %d value %d, trap %d, cs %x ss %x ds %x fs %x gs %x, flags %lx, state %d\n", number,
	       info->si_signo, info->si_code, info->si_value.sival_int, r[REG_TRAPNO], r[REG_CS], r[REG_SS], r[REG_DS], r[REG_FS],
	       r[REG_GS], uc->uc_flags & ~1, uc->uc_mcontext.fpregs != NULL);
	taken = number;
}

struct old_action { void *handler; unsigned long mask, flags; void *restorer; };
struct new_action { void *handler; unsigned long flags; void *restorer; unsigned long mask[2]; };

void own_restorer(void);
asm("own_restorer:\n\tpop %eax\n\tmov $119, %eax\n\tint $0x80");

static void signals(void)
{
	struct old_action before, action = {old_handler, 1 << (SIGUSR2 - 1), 0, NULL};
	struct new_action full, next = {info_handler, SA_SIGINFO, NULL, {0, 0x80000000}};
	unsigned long set = 1 << (SIGUSR1 - 1), pending = 0, both[2] = {0, 1};
	TELL(SYS_sigaction, SIGUSR1, &action, &before);
	printf("before: %p %lx %lx\n", before.handler, before.mask, before.flags);
	TELL(SYS_kill, getpid(), SIGUSR1);
	printf("taken %d\n", taken);
	action.flags = 0x04000000 /* SA_RESTORER */, action.restorer = own_restorer;
	TELL(SYS_sigaction, SIGUSR1, &action, NULL);
	TELL(SYS_rt_sigaction, SIGUSR1, NULL, &full, 8);
	printf("handler %d restorer %d flags %lx mask %lx %lx\n", full.handler == old_handler, full.restorer == own_restorer, full.flags,
	       full.mask[0], full.mask[1]);
	taken = 0;
	TELL(SYS_sigprocmask, SIG_BLOCK, &set, &pending);
	TELL(SYS_kill, getpid(), SIGUSR1);
	TELL(SYS_sigpending, &pending);
	printf("pending %lx taken %d\n", pending, taken);
	TELL(SYS_rt_sigpending, both, 8);
	printf("pending %lx %lx\n", both[0], both[1]);
	TELL(SYS_sigsuspend, 0, 0, 0);
	printf("taken %d\n", taken);
	printf("sgetmask %lx\n", CALL(68));
	printf("ssetmask %lx\n", CALL(69, 0));
	TELL(SYS_sigprocmask, 7, &set, NULL);
	TELL(SYS_rt_sigprocmask, SIG_BLOCK, both, NULL, 4);
	TELL(SYS_rt_sigaction, SIGUSR2, &next, NULL, 8);
	TELL(SYS_rt_sigaction, SIGUSR2, &next, NULL, 4);
	siginfo_t info = {.si_signo = SIGUSR2, .si_code = SI_QUEUE};
	info.si_value.sival_int = 0x1234;
	TELL(SYS_rt_sigqueueinfo, getpid(), SIGUSR2, &info);
	TELL(SYS_signal, SIGUSR2, old_handler);
	TELL(SYS_kill, getpid(), SIGUSR2);
	printf("taken %d, reset: %d\n", taken, CALL(SYS_signal, SIGUSR2, SIG_IGN) == (long)SIG_DFL);
	TELL(SYS_signal, SIGKILL, SIG_IGN);
	TELL(SYS_sigaction, SIGSTOP, &action, NULL);
	TELL(SYS_sigaction, SIGSTOP, NULL, &action);
	TELL(SYS_sigaction, 65, NULL, NULL);
	/* A signal above 32 in the mask, and rt_sigtimedwait with both kinds of time. */
	both[0] = 0, both[1] = 1 << (SIGRTMIN + 4 - 33);
	TELL(SYS_rt_sigprocmask, SIG_BLOCK, both, NULL, 8);
	MUST(kill(getpid(), SIGRTMIN + 4));
	struct { int32_t s, n; } soon = {0, 1000};
	struct __kernel_timespec soon64 = {0, 1000};
	memset(&info, 0, sizeof info);
	printf("taken %d\n", CALL(SYS_rt_sigtimedwait, both, &info, &soon, 8) == SIGRTMIN + 4);
	printf("code %d pid %d\n", info.si_code, info.si_pid == getpid());
	TELL(SYS_rt_sigtimedwait_time64, both, &info, &soon64, 8);
}

/* Changes the registers that a handler returns to. */
static void changing(int number, siginfo_t *info, void *context)
{
	(void)number, (void)info;
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	r[REG_EAX] = 0x11, r[REG_ECX] = 0x22, r[REG_EDX] = 0x33, r[REG_EFL] |= 1;
	double other = 3.5;
	asm volatile("fldl %0\n\tfldl %0\n\tfldl %0" : : "m"(other));
}

static void registers(void)
{
	struct sigaction action = {.sa_sigaction = changing, .sa_flags = SA_SIGINFO};
	MUST(sigaction(SIGTRAP, &action, NULL));
	int a, c, d;
	unsigned flags;
	double x = 1.25, y = 0;
	unsigned short control = 0x27f, after = 0;
	asm volatile("fldcw %6\n\tfldl %5\n\tint3\n\tpushf\n\tpop %3\n\tfstpl %4\n\tfnstcw %7\n\tfninit"
		     : "=a"(a), "=c"(c), "=d"(d), "=&r"(flags), "=m"(y)
		     : "m"(x), "m"(control), "m"(after)
		     : "memory");
	printf("registers %x %x %x carry %d, float %g, control %x\n", a, c, d, flags & 1, y, after);
}

static void directories(void)
{
	MUST(mkdir("dir", 0700));
	MUST(close(MUST(creat("dir/name", 0600))));
	int fd = MUST(open("dir", O_RDONLY | O_DIRECTORY)), entries = 0;
	char buffer[512];
	for (long i; (i = CALL(SYS_readdir, fd, buffer, 1)) > 0; entries++) {
		uint16_t length;
		memcpy(&length, buffer + 8, 2);
		if (!strcmp(buffer + 10, "name"))
			printf("readdir: %s, length %d\n", buffer + 10, length);
	}
	printf("%d entries\n", entries);
	MUST(lseek(fd, 0, SEEK_SET));
	long n = CALL(SYS_getdents, fd, buffer, sizeof buffer);
	printf("getdents = %ld\n", n);
	for (char *at = buffer; at < buffer + n;) {
		uint16_t length;
		memcpy(&length, at + 8, 2);
		if (!strcmp(at + 10, "name"))
			printf("%s: record %d type %d\n", at + 10, length, at[length - 1]);
		at += length;
	}
	MUST(lseek(fd, 0, SEEK_SET));
	TELL(SYS_getdents, fd, buffer, 3);
	close(fd);
}

static void locks(void)
{
	int fd = MUST(open("lock", O_RDWR | O_CREAT, 0600));
	struct { short type, whence; int32_t start, len, pid; } small = {F_WRLCK, SEEK_SET, 10, 20, 0};
	struct { short type, whence; int64_t start, len; int32_t pid; } __attribute__((packed)) large = {F_WRLCK, SEEK_SET, 1LL << 32, 5, 0};
	TELL(SYS_fcntl64, fd, F_SETLK, &small);
	TELL(SYS_fcntl64, fd, 13, &large);
	TELL(SYS_fcntl, fd, 13, &large);
	int code = IN_A_CHILD({
		small.start = 0, small.len = 0;
		TELL(SYS_fcntl, fd, 5, &small);
		printf("held: type %d from %d length %d, by the parent %d\n", small.type, small.start, small.len, small.pid == getppid());
		large.start = 1LL << 31, large.len = 0;
		TELL(SYS_fcntl64, fd, 12, &large);
		printf("held: type %d from %llx length %lld\n", large.type, (long long)large.start, (long long)large.len);
		small.type = F_WRLCK, small.start = 0x7fffffff, small.len = 0;
		TELL(SYS_fcntl64, fd, 5, &small);
		TELL(SYS_fcntl64, fd, F_SETLK, 1);
	});
	printf("status %x\n", code);
	TELL(SYS_fcntl64, fd, F_GETFL);
	TELL(SYS_fcntl64, fd, F_DUPFD, 100);
	close(100), close(fd);
}

static void waiting(void)
{
	int pipes[2];
	MUST(pipe(pipes));
	fd_set in = {0};
	FD_SET(pipes[0], &in);
	struct { int32_t s, n; } time = {0, 1000}, bad = {0, 2000000000};
	struct __kernel_timespec wide = {0, 1000}, badwide = {0, 1LL << 32};
	long old[5] = {pipes[0] + 1, (long)&in, 0, 0, (long)&time};
	TELL(OLD_SELECT, old);
	FD_SET(pipes[0], &in);
	TELL(SYS__newselect, pipes[0] + 1, &in, 0, 0, &time);
	MUST(write(pipes[1], "x", 1));
	FD_SET(pipes[0], &in);
	unsigned long long mask = 0;
	struct { void *set; uint32_t size; } pack = {&mask, 8};
	TELL(SYS_pselect6, pipes[0] + 1, &in, 0, 0, &time, &pack);
	TELL(SYS_pselect6_time64, pipes[0] + 1, &in, 0, 0, &wide, &pack);
	TELL(SYS_pselect6, pipes[0] + 1, &in, 0, 0, &bad, 0);
	pack.size = 4;
	TELL(SYS_pselect6, pipes[0] + 1, &in, 0, 0, &time, &pack);
	struct { int fd; short want, got; } poll = {pipes[0], 1, 0};
	TELL(SYS_ppoll, &poll, 1, &time, &mask, 8);
	TELL(SYS_ppoll_time64, &poll, 1, &wide, &mask, 8);
	TELL(SYS_nanosleep, &time, 0);
	TELL(SYS_nanosleep, &bad, 0);
	TELL(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, 0);
	TELL(SYS_clock_nanosleep_time64, CLOCK_MONOTONIC, 0, &wide, 0);
	/* The high half of the nanoseconds does not count in a 32-bit program. */
	TELL(SYS_clock_nanosleep_time64, CLOCK_MONOTONIC, 0, &badwide, 0);
	int word = 1;
	TELL(SYS_futex, &word, FUTEX_WAIT, 1, &time);
	TELL(SYS_futex_time64, &word, FUTEX_WAIT, 1, &wide);
	TELL(SYS_futex, &word, FUTEX_WAIT, 2, &time);
	close(pipes[0]), close(pipes[1]);
}

static void clocks(void)
{
	struct { int32_t s, n; } narrow, other;
	struct __kernel_timespec wide;
	TELL(SYS_clock_gettime, CLOCK_REALTIME, &narrow);
	TELL(SYS_clock_gettime64, CLOCK_REALTIME, &wide);
	printf("the clocks agree: %d\n", wide.tv_sec - narrow.s <= 1);
	TELL(SYS_gettimeofday, &other, 0);
	printf("the clocks agree: %d\n", other.s - narrow.s <= 1);
	printf("the clocks agree: %d\n", CALL(SYS_time, 0) - narrow.s <= 1);
	TELL(SYS_clock_getres, CLOCK_MONOTONIC, &narrow);
	TELL(SYS_clock_getres_time64, CLOCK_MONOTONIC, &wide);
	printf("resolution %d %lld\n", narrow.n, (long long)wide.tv_nsec);
	struct { int32_t is, in, vs, vn; } small = {0, 0, 100, 5}, got;
	struct __kernel_itimerspec large = {{0, 0}, {1LL << 33, 0}};
	int timer = -1;
	struct { int32_t value, number, notify, tid; int32_t pad[12]; } event = {7, SIGUSR1, SIGEV_NONE, 0, {0}};
	TELL(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer);
	TELL(SYS_timer_settime, timer, 0, &small, 0);
	TELL(SYS_timer_settime64, timer, 0, &large, 0);
	TELL(SYS_timer_gettime, timer, &got);
	TELL(SYS_timer_delete, timer);
	int fd = CALL(SYS_timerfd_create, CLOCK_MONOTONIC, 0);
	TELL(SYS_timerfd_settime, fd, 0, &small, &got);
	wipe();
	TELL(SYS_timerfd_gettime, fd, words);
	written("timerfd_gettime");
	printf("left %d\n", words[2] == 100 || words[2] == 99);
	TELL(SYS_timerfd_gettime64, fd, words);
	printf("left %d %d\n", words[4] == 100 || words[4] == 99, words[5]);
	close(fd);
	wipe();
	TELL(SYS_setitimer, ITIMER_REAL, &small, 0);
	TELL(SYS_getitimer, ITIMER_REAL, words);
	written("getitimer");
	memset(&small, 0, sizeof small);
	TELL(SYS_setitimer, ITIMER_REAL, &small, words);
	MUST(close(MUST(creat("times", 0600))));
	struct { int32_t s, n; } both[2] = {{1000, 5}, {2000, 6}};
	struct stat st;
	TELL(SYS_utimensat, AT_FDCWD, "times", both, 0);
	MUST(stat("times", &st));
	printf("times %ld %ld %ld %ld\n", (long)st.st_atime, st.st_atim.tv_nsec, (long)st.st_mtime, st.st_mtim.tv_nsec);
	TELL(SYS_utimes, "times", both);
	MUST(stat("times", &st));
	printf("times %ld %ld %ld %ld\n", (long)st.st_atime, st.st_atim.tv_nsec, (long)st.st_mtime, st.st_mtim.tv_nsec);
	TELL(SYS_utime, "times", both);
	MUST(stat("times", &st));
	printf("times %ld %ld\n", (long)st.st_atime, (long)st.st_mtime);
	struct __kernel_timespec late[2] = {{1LL << 32, 0}, {1LL << 32, 0}};
	TELL(SYS_utimensat_time64, AT_FDCWD, "times", late, 0);
	wipe();
	TELL(SYS_stat64, "times", words);
	printf("the stamp is cut off: %d\n", words[16]);
	wipe();
	CALL(SYS_times, words);
	written("times");
	wipe();
	TELL(SYS_getrusage, RUSAGE_SELF, words);
	written("getrusage");
	TELL(SYS_stime, 1);
	TELL(SYS_sched_rr_get_interval, 0, words);
	TELL(SYS_sched_rr_get_interval_time64, 0, words);
}

static void limits(void)
{
	struct { uint64_t soft, hard; } wide = {5000000000ULL, 6000000000ULL};
	int code = IN_A_CHILD({
		TELL(SYS_prlimit64, 0, RLIMIT_FSIZE, &wide, 0);
		TELL(SYS_getrlimit, RLIMIT_FSIZE, words);
		printf("old %x %x\n", words[0], words[1]);
		TELL(SYS_ugetrlimit, RLIMIT_FSIZE, words);
		printf("new %x %x\n", words[0], words[1]);
		words[0] = 10, words[1] = -1;
		TELL(SYS_setrlimit, RLIMIT_CORE, words);
		TELL(SYS_getrlimit, RLIMIT_CORE, words);
		printf("old %x %x\n", words[0], words[1]);
		TELL(SYS_getrlimit, 99, words);
		TELL(SYS_ugetrlimit, RLIMIT_CORE, 1);
	});
	printf("status %x\n", code);
}

static int in_thread(void *unused)
{
	(void)unused;
	unsigned short gs;
	asm("mov %%gs, %0" : "=r"(gs));
	int value;
	asm("movl %%fs:0, %0" : "=r"(value));
	printf("in the clone: value %x gs %x\n", value, gs);
	fflush(stdout);
	return 3;
}

static void segments(void)
{
	static int area[4] = {0xabcd, 0, 0, 0};
	struct user_desc d = {.entry_number = -1, .base_addr = (long)area, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1, .useable = 1};
	TELL(SYS_set_thread_area, &d);
	printf("entry %d\n", d.entry_number);
	int value = 0;
	asm volatile("mov %1, %%fs\n\tmovl %%fs:0, %0" : "=r"(value) : "r"(d.entry_number * 8 + 3));
	printf("value %x\n", value);
	struct user_desc got = {.entry_number = d.entry_number};
	TELL(SYS_get_thread_area, &got);
	printf("equal %d\n", !memcmp(&got, &d, sizeof d));
	for (int number = 5; number < 16; number += 5) {
		got.entry_number = number;
		TELL(SYS_get_thread_area, &got);
	}
	struct user_desc bad = d;
	bad.seg_32bit = 0;
	TELL(SYS_set_thread_area, &bad);
	bad = d, bad.contents = 2;
	TELL(SYS_set_thread_area, &bad);
	bad = d, bad.seg_not_present = 1;
	TELL(SYS_set_thread_area, &bad);
	TELL(SYS_set_thread_area, 1);
	/* The child of clone gets the area for FS, by which it finds its value. */
	fflush(stdout);
	static char stack[16384];
	static int others[4] = {0x4321, 0, 0, 0};
	struct user_desc theirs = d;
	theirs.base_addr = (long)others;
	pid_t pid = MUST(clone(in_thread, stack + sizeof stack, CLONE_SETTLS | SIGCHLD, NULL, NULL, &theirs));
	int status;
	MUST(waitpid(pid, &status, 0));
	printf("the clone ended with %x\n", status);
	asm volatile("movl %%fs:0, %0" : "=r"(value));
	printf("value %x\n", value);
	memset(&bad, 0, sizeof bad);
	bad.entry_number = d.entry_number, bad.read_exec_only = 1, bad.seg_not_present = 1;
	TELL(SYS_set_thread_area, &bad);

	struct user_desc local = {.entry_number = 3, .base_addr = (long)area, .limit = 15, .seg_32bit = 1, .useable = 1};
	unsigned long long table[8];
	TELL(SYS_modify_ldt, 0, table, sizeof table);
	TELL(SYS_modify_ldt, 0x11, &local, sizeof local);
	asm volatile("mov %1, %%fs\n\tmovl %%fs:0, %0" : "=r"(value) : "r"(3 * 8 + 7));
	printf("value %x\n", value);
	long read = CALL(SYS_modify_ldt, 0, table, sizeof table);
	printf("read %ld, limit %llx, rights %llx\n", read, table[3] & 0xffff, table[3] >> 40 & 0xff);
	TELL(SYS_modify_ldt, 2, table, 16);
	TELL(SYS_modify_ldt, 5, table, 16);
	TELL(SYS_modify_ldt, 1, &local, 3);
	local.entry_number = 8192;
	TELL(SYS_modify_ldt, 0x11, &local, sizeof local);
	local.entry_number = 3, local.contents = 3;
	TELL(SYS_modify_ldt, 1, &local, sizeof local);
	int code = IN_A_CHILD({
		asm volatile("mov %1, %%fs\n\tmovl %%fs:0, %0" : "=r"(value) : "r"(3 * 8 + 7));
		printf("the child has it too: %x\n", value);
	});
	printf("status %x\n", code);
	asm volatile("mov %0, %%fs" : : "r"(0));
}

static void show_personality(void)
{
	char text[16] = {0};
	int fd = MUST(open("/proc/self/personality", O_RDONLY));
	printf("read %zd bytes: %s", read(fd, text, sizeof text - 1), text);
	close(fd);
}

/* The requests of performance events whose numbers have the size of a pointer. */
static void events(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1};
	uint64_t id = 0, wide = 0;
	int fd = MUST(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
	TELL(SYS_ioctl, fd, PERF_EVENT_IOC_ID, &id);
	TELL(SYS_ioctl, fd, 0x80082407, &wide);
	printf("an id: %d, the same id: %d\n", id != 0, id == wide);
	TELL(SYS_ioctl, fd, PERF_EVENT_IOC_SET_FILTER, "common_pid == 1");
	TELL(SYS_ioctl, fd, PERF_EVENT_IOC_SET_FILTER, 8);
	TELL(SYS_ioctl, fd, PERF_EVENT_IOC_MODIFY_ATTRIBUTES, &attr);
	TELL(SYS_ioctl, fd, PERF_EVENT_IOC_MODIFY_ATTRIBUTES, 8);
	attr.type = PERF_TYPE_TRACEPOINT;
	TELL(SYS_ioctl, fd, PERF_EVENT_IOC_MODIFY_ATTRIBUTES, &attr);
	close(fd);
}

static void personalities(void)
{
	show_personality();
	struct { char s[65], n[65], r[65], v[65], m[65], d[65]; } name;
	TELL(SYS_uname, &name);
	printf("machine %s\n", name.m);
	int code = IN_A_CHILD({
		CALL(SYS_personality, 0);
		TELL(SYS_personality, PER_LINUX32);
		show_personality();
		CALL(SYS_uname, &name);
		printf("machine %s\n", name.m);
		CALL(OLDUNAME, &name);
		printf("system %s machine %s\n", name.s, name.s + 4 * 65);
		char old[45] = {0};
		CALL(OLDOLDUNAME, old);
		printf("system %s machine %s\n", old, old + 36);
		TELL(SYS_personality, 0xffffffff);
		TELL(SYS_personality, PER_LINUX | 0x0400000 /* READ_IMPLIES_EXEC */);
		char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		*page = '\xc3';
		((void (*)(void))page)();
		printf("a readable page can be executed\n");
	});
	printf("status %x\n", code);
	code = IN_A_CHILD({
		CALL(SYS_personality, 0x8000000 /* ADDR_LIMIT_3GB */);
		execl("/proc/self/exe", "compat32", "limited", NULL);
	});
	printf("status %x\n", code);
}

/* What a program sees that the parent has started with a smaller address space. */
static int limited(void)
{
	int local;
	void *top = (void *)0xbffff000, *high = (void *)0xd0000000;
	printf("the stack is below 3 GiB: %d\n", (unsigned long)&local < 0xc0000000);
	printf("the heap is below 3 GiB: %d\n", (unsigned long)sbrk(0) < 0xc0000000);
	printf("mapped at the top: %d\n",
	       mmap(top, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == top || errno == EEXIST);
	TELL(SYS_mmap2, high, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	TELL(SYS_personality, 0xffffffff);
	return 9;
}

static void descriptors(int from, int to)
{
	union { char space[CMSG_SPACE(8)]; struct cmsghdr header; } control = {0};
	char byte = 'b';
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(8)};
	control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(8), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.header), (int[]){0, 1}, 8);
	TELL(SYS_sendmsg, from, &message, 0);
	memset(&control, 0, sizeof control);
	message.msg_controllen = sizeof control;
	TELL(SYS_recvmsg, to, &message, 0);
	int got[2];
	memcpy(got, CMSG_DATA(&control.header), 8);
	printf("control %d length %d type %d, %d descriptors, flags %x\n", (int)message.msg_controllen, (int)control.header.cmsg_len,
	       control.header.cmsg_type, got[0] > 2 && got[1] > got[0] ? 2 : 0, message.msg_flags);
	close(got[0]), close(got[1]);
	/* A buffer for one descriptor gets one. */
	memcpy(CMSG_DATA(&control.header), (int[]){0, 1}, 8);
	control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(8), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	message.msg_controllen = CMSG_LEN(8);
	TELL(SYS_sendmsg, from, &message, 0);
	message.msg_controllen = CMSG_LEN(4);
	TELL(SYS_recvmsg, to, &message, 0);
	printf("control %d length %d flags %x\n", (int)message.msg_controllen, (int)control.header.cmsg_len, message.msg_flags);
	memcpy(got, CMSG_DATA(&control.header), 4);
	close(got[0]);
	message.msg_controllen = CMSG_LEN(8), control.header.cmsg_len = 5;
	TELL(SYS_sendmsg, from, &message, 0);
}

static void sockets(void)
{
	int pair[2], size = 16;
	char text[8] = {0};
	TELL(SYS_socketcall, 8, ((long[]){AF_UNIX, SOCK_STREAM, 0, (long)pair}));
	TELL(SYS_socketcall, 9, ((long[]){pair[0], (long)"hello", 5, 0}));
	TELL(SYS_socketcall, 10, ((long[]){pair[1], (long)text, 8, MSG_DONTWAIT}));
	TELL(SYS_socketcall, 10, ((long[]){pair[1], (long)text, 8, MSG_DONTWAIT}));
	TELL(SYS_socketcall, 11, ((long[]){pair[0], (long)"again", 5, 0, 0, 0}));
	TELL(SYS_socketcall, 12, ((long[]){pair[1], (long)text, 8, 0, (long)words, (long)&size}));
	printf("text %s\n", text);
	TELL(SYS_socketcall, 7, ((long[]){pair[0], (long)words, (long)&size}));
	TELL(SYS_socketcall, 0, words);
	TELL(SYS_socketcall, 21, words);
	TELL(SYS_socketcall, 1, 1);
	descriptors(pair[0], pair[1]);
	struct { int32_t s, u; } time = {1, 500000};
	struct { int64_t s, u; } time64 = {2, 500000};
	TELL(SYS_setsockopt, pair[0], SOL_SOCKET, 20, &time, sizeof time);
	size = 16;
	wipe();
	TELL(SYS_getsockopt, pair[0], SOL_SOCKET, 66, words, &size);
	printf("new %d %d size %d\n", words[0], words[2], size);
	TELL(SYS_setsockopt, pair[0], SOL_SOCKET, 67, &time64, sizeof time64);
	size = 8;
	TELL(SYS_getsockopt, pair[0], SOL_SOCKET, 21, words, &size);
	printf("old %d %d size %d\n", words[0], words[1], size);
	TELL(SYS_setsockopt, pair[0], SOL_SOCKET, 67, &time64, 8);
	TELL(SYS_socketcall, 13, ((long[]){pair[0], SHUT_RDWR}));
	struct { struct msghdr h; unsigned n; } many[2] = {0};
	TELL(SYS_sendmmsg, pair[1], many, 2, MSG_NOSIGNAL);
	close(pair[0]), close(pair[1]);
}

static void others(void)
{
	wipe();
	TELL(SYS_sysinfo, words);
	written("sysinfo");
	struct { long list, offset, pending; } robust = {(long)&robust, 0, 0};
	TELL(SYS_set_robust_list, &robust, 12);
	TELL(SYS_set_robust_list, &robust, 24);
	unsigned long head = 0, length = 0;
	TELL(SYS_get_robust_list, 0, &head, &length);
	printf("head %d length %lu\n", head == (unsigned long)&robust, length);
	TELL(SYS_set_robust_list, 0, 12);
	TELL(SYS_vm86old, 0);
	TELL(SYS_vm86, 0, 0);
	TELL(SYS_arch_prctl, 0x1001, 0);
	TELL(222);
	TELL(511);
	TELL(-1);
	TELL(0x40000000 | SYS_getpid);
	stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536}, old = {0};
	TELL(SYS_sigaltstack, &stack, &old);
	TELL(SYS_sigaltstack, 0, &old);
	printf("stack %d size %d\n", old.ss_sp == stack.ss_sp, (int)old.ss_size);
	stack.ss_flags = SS_DISABLE;
	TELL(SYS_sigaltstack, &stack, 0);
	int status = 0, pid = MUST(fork());
	if (pid == 0)
		_exit(5);
	printf("waitpid %d", CALL(SYS_waitpid, pid, &status, 0) == pid);
	printf(" status %x\n", status);
	siginfo_t info;
	pid = MUST(fork());
	if (pid == 0)
		_exit(6);
	TELL(SYS_waitid, P_ALL, 0, &info, WEXITED, words);
	printf("code %d status %d pid %d\n", info.si_code, info.si_status, info.si_pid == pid);
	TELL(SYS_umount, "/none");
	TELL(SYS_process_vm_readv, getpid(), ((struct iovec[]){{words, 4}}), 1, ((struct iovec[]){{&status, 4}}), 1, 0);
	TELL(SYS_rseq, words, 3, 0, 0);
}

int main(int count, char **arguments)
{
	if (count == 2 && !strcmp(arguments[1], "limited"))
		return limited();
	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(022);
	char directory[] = "/tmp/compat32-XXXXXX";
	MUST(chdir(mkdtemp(directory) ? directory : "/"));
	status();
	offsets();
	mappings();
	identities();
	signals();
	registers();
	directories();
	locks();
	waiting();
	clocks();
	limits();
	segments();
	personalities();
	events();
	sockets();
	others();
	return 8;
}
