/* Checks FS base and GS base, set with arch_prctl(2) or with WRFSBASE and WRGSBASE.
 * They must survive calls, faults, interrupts and context switches, each thread
 * has its own, and the kernel must never mistake a user's value for its own. */
#include "catalogue.h"
#include <asm/prctl.h>
#include <pthread.h>
#include <sched.h>

static unsigned long read_gs_base(void)
{
	unsigned long base;
	__asm__ volatile("rdgsbase %0" : "=r"(base));
	return base;
}

static void write_gs_base(unsigned long base) { __asm__ volatile("wrgsbase %0" : : "r"(base)); }

static unsigned long read_fs_base(void)
{
	unsigned long base;
	__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

static unsigned long get_base(int code)
{
	unsigned long base = 0x5555;
	syscall(SYS_arch_prctl, code, &base);
	return base;
}

/* Values of a base. A kernel that decides by the sign of GS base whether it needs
 * SWAPGS runs with the user's GS base if that is in the kernel's half. */
static const unsigned long values[] = {0, 1, 0x1000, 0x7fffffffefff, 0x7fffffffffff, 0xffff800000000000, 0xffffffff81000000, ~0UL};

enum { VALUES = sizeof values / sizeof *values };

static void prctl_values(void)
{
	for (int i = 0; i < VALUES; i++) {
		SHOW(syscall(SYS_arch_prctl, ARCH_SET_GS, values[i]));
		printf("GS base %lx, by arch_prctl %lx\n", read_gs_base(), get_base(ARCH_GET_GS));
		write_gs_base(0);
	}
	SHOW(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x8000000000000000));
	SHOW(syscall(SYS_arch_prctl, ARCH_SET_FS, 0xffff800000000000));
	SHOW(syscall(SYS_arch_prctl, ARCH_GET_GS, 8));
	SHOW(syscall(SYS_arch_prctl, 0x1000, 8));
	HOLDS(read_fs_base() == get_base(ARCH_GET_FS));
}

/* Enters the kernel in every way. */
static void pass_through(void)
{
	volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct timespec nap = {0, 1000000};
	page[0] = 1;
	munmap((void *)page, 4096);
	syscall(SYS_getppid);
	sched_yield();
	nanosleep(&nap, NULL);
	ATTEMPT("ud2");
	ATTEMPT("int3");
	for (volatile int i = 0; i < 3000000; i++) /* some interrupts */
		;
}

static void instruction_values(void)
{
	for (int i = 0; i < VALUES; i++) {
		write_gs_base(values[i]);
		pass_through();
		printf("GS base %lx kept: %d, by arch_prctl: %d\n", values[i], read_gs_base() == values[i], get_base(ARCH_GET_GS) == values[i]);
	}
	write_gs_base(0);
	/* WRGSBASE of a non-canonical value faults on hardware but not in QEMU's
	 * emulation; the kernel must accept such a value. */
	ATTEMPT("movq $0x800000000000, %%rcx; wrgsbase %%rcx", "rcx");
	syscall(SYS_getppid);
	sched_yield();
	write_gs_base(0);
}

/* The C library finds errno through FS base, so only assembly may run while FS
 * base is changed. */
static void fs_values(void)
{
	for (int i = 0; i < VALUES; i++) {
		unsigned long old = read_fs_base(), after, by_call = 0, ppid;
		__asm__ volatile("wrfsbase %[value]\n"
				 "movl $110, %%eax; syscall; movq %%rax, %[ppid]\n"
				 "movl $24, %%eax; syscall\n"
				 "movl $158, %%eax; movl $0x1003, %%edi; leaq %[by_call], %%rsi; syscall\n"
				 "rdfsbase %[after]; wrfsbase %[old]"
				 : [after] "=&r"(after), [by_call] "+m"(by_call), [ppid] "=&r"(ppid)
				 : [value] "r"(values[i]), [old] "r"(old)
				 : "rax", "rcx", "r11", "rdi", "rsi", "memory");
		printf("FS base %lx kept: %d, by arch_prctl: %d\n", values[i], after == values[i], by_call == values[i]);
	}
}

static void loads(void)
{
	static unsigned long here = 0x1234;
	unsigned long through;
	write_gs_base((unsigned long)&here);
	__asm__ volatile("movq %%gs:0, %0" : "=r"(through));
	printf("through GS: %lx\n", through);
	write_gs_base(0xffffffff81000000);
	ATTEMPT("movq %%gs:0, %%rcx", "rcx");
	printf("through a GS base in the kernel: signal %d code %d address %lx\n", seen.signal, seen.code, seen.address);
	write_gs_base(0);
	/* Loading a null selector clears the base on Intel but not on AMD. */
	__asm__ volatile("movl $0, %%eax; movw %%ax, %%gs" : : : "rax");
	printf("GS base of a null selector: %lx\n", read_gs_base());
}

/* Sets DS, ES, FS and GS to the argument and returns how often a selector had
 * changed after context switches. The C library's FS base is preserved. */
static void *select_segments(void *argument)
{
	unsigned short mine = (unsigned short)(unsigned long)argument, now;
	long changed = 0;
	for (int i = 0; i < 300; i++) {
		unsigned long fs = read_fs_base();
		__asm__ volatile("movw %[mine], %%ds; movw %[mine], %%es; movw %[mine], %%gs; movw %[mine], %%fs; wrfsbase %[fs]"
				 : : [mine] "r"(mine), [fs] "r"(fs));
		sched_yield();
		__asm__ volatile("movw %%ds, %0" : "=r"(now));
		changed += now != mine;
		__asm__ volatile("movw %%es, %0" : "=r"(now));
		changed += now != mine;
		__asm__ volatile("movw %%fs, %0" : "=r"(now));
		changed += now != mine;
		__asm__ volatile("movw %%gs, %0" : "=r"(now));
		changed += now != mine;
	}
	__asm__ volatile("movw %0, %%ds; movw %0, %%es; movw %0, %%gs" : : "r"((unsigned short)0));
	return (void *)changed;
}

static void segments(void)
{
	unsigned short data;
	pthread_t other;
	void *result;
	__asm__ volatile("movw %%ss, %0" : "=r"(data));
	pthread_create(&other, NULL, select_segments, NULL);
	long changed = (long)select_segments((void *)(unsigned long)data);
	pthread_join(other, &result);
	printf("selectors changed: %ld and %ld times\n", changed, (long)result);
}

static void children(void)
{
	int status;
	write_gs_base(0xabc000);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		int right = read_gs_base() == 0xabc000;
		write_gs_base(0xdef000);
		sched_yield();
		_exit(right && read_gs_base() == 0xdef000 ? 0 : 1);
	}
	sched_yield();
	MUST(waitpid(pid, &status, 0));
	printf("the child inherits GS base: %d, ours stays: %d\n", status == 0, read_gs_base() == 0xabc000);
	write_gs_base(0);
}

static void *thread(void *argument)
{
	unsigned long mine = (unsigned long)argument, fs = read_fs_base();
	write_gs_base(mine);
	for (int i = 0; i < 300; i++) {
		sched_yield();
		if (read_gs_base() != mine || read_fs_base() != fs)
			return (void *)1;
		if (i % 64 == 0 && get_base(ARCH_GET_GS) != mine)
			return (void *)2;
	}
	return NULL;
}

static void threads(void)
{
	pthread_t ids[4];
	void *result;
	write_gs_base(0x77000);
	for (long i = 0; i < 4; i++)
		pthread_create(&ids[i], NULL, thread, (void *)((i + 1) << (i % 2 ? 12 : 44)));
	for (int i = 0; i < 4; i++) {
		pthread_join(ids[i], &result);
		printf("thread %d: %ld\n", i, (long)result);
	}
	printf("GS base of the first thread: %lx\n", read_gs_base());
	write_gs_base(0);
}

int main(void)
{
	setbuf(stdout, NULL);
	keep_faults();
	prctl_values();
	instruction_values();
	fs_values();
	loads();
	children();
	segments();
	threads();
	return 8;
}
