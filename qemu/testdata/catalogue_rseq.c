/* Checks restartable sequences (rseq(2)): the kernel writes the CPU number, a
 * critical section that a signal or a preemption interrupts continues at its abort
 * handler, and an invalid descriptor ends the program. It also checks
 * PR_SET_TSC. */
#include "catalogue.h"
#include <linux/rseq.h>
#include <sys/prctl.h>
#include <sched.h>

#define SIGNATURE 0x53053053

static struct rseq area __attribute__((aligned(32)));
static struct rseq_cs descriptor __attribute__((aligned(32)));

static long rseq(struct rseq *where, unsigned length, int flags, unsigned signature)
{
	return syscall(SYS_rseq, where, length, flags, signature);
}

static void registration(void)
{
	SHOW(rseq((struct rseq *)((char *)&area + 1), 32, 0, SIGNATURE));
	SHOW(rseq(&area, 31, 0, SIGNATURE));
	SHOW(rseq(&area, 32, 2, SIGNATURE));
	SHOW(rseq(&area, 32, RSEQ_FLAG_UNREGISTER, SIGNATURE));
	area.cpu_id = RSEQ_CPU_ID_UNINITIALIZED;
	SHOW(rseq(&area, 32, 0, SIGNATURE));
	SHOW(rseq(&area, 32, 0, SIGNATURE));
	SHOW(rseq(&area, 32, 0, SIGNATURE + 1));
	SHOW(rseq(&area, 64, 0, SIGNATURE));
	HOLDS(area.cpu_id == area.cpu_id_start && area.cpu_id < 1024);
	int agreed = 0;
	for (int i = 0; i < 100; i++) {
		int before = (int)area.cpu_id, cpu = sched_getcpu(), after = (int)area.cpu_id;
		agreed += before != after || cpu == after;
		sched_yield();
	}
	printf("getcpu agrees: %d\n", agreed);
}

/* Spins in a critical section until something interrupts it. */
static long spin(unsigned long *aborts)
{
	long done;
	__asm__ volatile(
		"leaq 1f(%%rip), %%rax; movq %%rax, 8+descriptor(%%rip)\n"
		"movq $(2f-1f), 16+descriptor(%%rip)\n"
		"leaq 4f(%%rip), %%rax; movq %%rax, 24+descriptor(%%rip)\n"
		"leaq descriptor(%%rip), %%rax; movq %%rax, 8+area(%%rip)\n"
		"xorl %k[done], %k[done]\n"
		"1: pause; jmp 1b\n"
		"2: movl $1, %k[done]; jmp 5f\n"
		".long 0x53053053\n"
		"4: incq (%[aborts])\n"
		"5:"
		: [done] "=&r"(done) : [aborts] "r"(aborts) : "rax", "memory", "cc");
	return done;
}

static volatile int handled, cleared;

static void on_alarm(int signal)
{
	(void)signal;
	handled++;
	cleared = area.rseq_cs == 0;
}

static void aborts(void)
{
	unsigned long count = 0;
	signal(SIGALRM, on_alarm);
	for (int i = 0; i < 5; i++) {
		handled = 0;
		/* The first alarm may be handled before the section begins. Nothing else
		 * preempts the only program of a machine, so the alarm is repeated. */
		ualarm(i * 1000 + 500, 20000);
		long committed = spin(&count);
		while (!handled) /* a preemption may abort the section before the signal */
			sched_yield();
		ualarm(0, 0);
		printf("aborted: %lu, committed %ld, descriptor cleared %d\n", count, committed, cleared && area.rseq_cs == 0);
	}
}

static void in_child(const char *name, void (*prepare)(void))
{
	int status;
	pid_t pid = MUST(fork());
	if (pid == 0) {
		prepare();
		for (int i = 0; i < 1000; i++)
			sched_yield();
		raise(SIGUSR2);
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0));
	printf("%s: signal %d\n", name, WTERMSIG(status));
}

static void none(int signal) { (void)signal; }

/* Sets a descriptor with the given fields. */
static void describe(unsigned long start, unsigned long length, unsigned long handler)
{
	signal(SIGUSR2, none);
	descriptor = (struct rseq_cs){.start_ip = start, .post_commit_offset = length, .abort_ip = handler};
	area.rseq_cs = (unsigned long)&descriptor;
}

static void wrong_signature(void) { describe(0x1000, 0x7fff00000000, (unsigned long)&area + 16); }
static void handler_inside(void) { describe(0x1000, 0x7fff00000000, 0x10000); }
static void handler_in_kernel(void) { describe(0x1000, 0x10, 0xffffffff81000000); }
static void start_in_kernel(void) { describe(0xffffffff81000000, 0x10, (unsigned long)&in_child); }
static void wraps(void) { describe(0x1000, -1UL, 0x100); }
static void bad_version(void) { describe(1, 1, 4096); descriptor.version = 1; }
static void not_mapped(void) { signal(SIGUSR2, none); area.rseq_cs = 8; }
static void in_the_kernel(void) { signal(SIGUSR2, none); area.rseq_cs = 0xffffffff81000000; }

static void area_unmapped(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(rseq(&area, 32, RSEQ_FLAG_UNREGISTER, SIGNATURE));
	MUST(rseq(page, 32, 0, SIGNATURE));
	signal(SIGUSR2, none);
	munmap(page, 4096);
}

static void nothing(void) { signal(SIGUSR2, none); }

static void invalid_descriptors(void)
{
	in_child("nothing", nothing);
	in_child("wrong signature", wrong_signature);
	in_child("handler inside", handler_inside);
	in_child("handler in the kernel", handler_in_kernel);
	in_child("start in the kernel", start_in_kernel);
	in_child("length that wraps", wraps);
	in_child("version 1", bad_version);
	in_child("descriptor not mapped", not_mapped);
	in_child("descriptor in the kernel", in_the_kernel);
	in_child("area not mapped", area_unmapped);
}

static void time_stamps(void)
{
	int mode = 0;
	SHOW(prctl(PR_GET_TSC, &mode));
	printf("mode %d\n", mode);
	ATTEMPT("rdtsc", "rdx");
	printf("RDTSC: signal %d\n", seen.signal);
	SHOW(prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
	ATTEMPT("rdtsc", "rdx");
	printf("RDTSC forbidden: signal %d code %d trap %lu\n", seen.signal, seen.code, seen.trap);
	ATTEMPT("rdtscp", "rdx", "rcx");
	printf("RDTSCP forbidden: signal %d code %d trap %lu\n", seen.signal, seen.code, seen.trap);
	SHOW(prctl(PR_GET_TSC, &mode));
	printf("mode %d\n", mode);
	pid_t pid = MUST(fork());
	int status;
	if (pid == 0) {
		ATTEMPT("rdtsc", "rdx");
		_exit(seen.signal);
	}
	MUST(waitpid(pid, &status, 0));
	printf("the child inherits: signal %d\n", WEXITSTATUS(status));
	SHOW(prctl(PR_SET_TSC, 3));
	SHOW(prctl(PR_SET_TSC, PR_TSC_ENABLE));
	ATTEMPT("rdtsc", "rdx");
	printf("RDTSC allowed again: signal %d\n", seen.signal);
}

int main(void)
{
	setbuf(stdout, NULL);
	keep_faults();
	registration();
	aborts();
	invalid_descriptors();
	MUST(rseq(&area, 32, RSEQ_FLAG_UNREGISTER, SIGNATURE));
	printf("CPU number after unregistering: %x\n", area.cpu_id);
	time_stamps();
	return 8;
}
