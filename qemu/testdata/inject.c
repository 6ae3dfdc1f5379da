/* The program for tests that inject events into a running machine. Depending on its
 * arguments it checks its registers, or starts processes that get a machine
 * check. */
#include "report.h"
#include <pthread.h>

/* The registers that one round of check_registers fills and reads back. */
struct registers {
	unsigned long general[13];
	unsigned char vectors[16][16];
	unsigned long flags, round;
};

/* Loads the registers from in, spins, and stores them to out: the vector registers,
 * RFLAGS, and the general registers except RCX (the counter), RSP and RBX (the
 * pointer). */
void go_round(struct registers *in, struct registers *out, long spins);
__asm__(".globl go_round\ngo_round:\n"
	"pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
	"pushq %rsi; movq %rdi, %rbx; movq %rdx, %rcx\n"
	"movups 104(%rbx), %xmm0; movups 120(%rbx), %xmm1; movups 136(%rbx), %xmm2; movups 152(%rbx), %xmm3\n"
	"movups 168(%rbx), %xmm4; movups 184(%rbx), %xmm5; movups 200(%rbx), %xmm6; movups 216(%rbx), %xmm7\n"
	"movups 232(%rbx), %xmm8; movups 248(%rbx), %xmm9; movups 264(%rbx), %xmm10; movups 280(%rbx), %xmm11\n"
	"movups 296(%rbx), %xmm12; movups 312(%rbx), %xmm13; movups 328(%rbx), %xmm14; movups 344(%rbx), %xmm15\n"
	"movq 0(%rbx), %rax; movq 8(%rbx), %rdx; movq 16(%rbx), %rsi; movq 24(%rbx), %rdi\n"
	"movq 32(%rbx), %rbp; movq 40(%rbx), %r8; movq 48(%rbx), %r9; movq 56(%rbx), %r10\n"
	"movq 64(%rbx), %r11; movq 72(%rbx), %r12; movq 80(%rbx), %r13; movq 88(%rbx), %r14\n"
	"movq 96(%rbx), %r15\n"
	"std; stc\n"
	"1: leaq -1(%rcx), %rcx; jrcxz 2f; jmp 1b\n"
	"2: popq %rbx; pushfq; cld\n"
	"movq %rax, 0(%rbx); movq %rdx, 8(%rbx); movq %rsi, 16(%rbx); movq %rdi, 24(%rbx)\n"
	"movq %rbp, 32(%rbx); movq %r8, 40(%rbx); movq %r9, 48(%rbx); movq %r10, 56(%rbx)\n"
	"movq %r11, 64(%rbx); movq %r12, 72(%rbx); movq %r13, 80(%rbx); movq %r14, 88(%rbx)\n"
	"movq %r15, 96(%rbx)\n"
	"movups %xmm0, 104(%rbx); movups %xmm1, 120(%rbx); movups %xmm2, 136(%rbx); movups %xmm3, 152(%rbx)\n"
	"movups %xmm4, 168(%rbx); movups %xmm5, 184(%rbx); movups %xmm6, 200(%rbx); movups %xmm7, 216(%rbx)\n"
	"movups %xmm8, 232(%rbx); movups %xmm9, 248(%rbx); movups %xmm10, 264(%rbx); movups %xmm11, 280(%rbx)\n"
	"movups %xmm12, 296(%rbx); movups %xmm13, 312(%rbx); movups %xmm14, 328(%rbx); movups %xmm15, 344(%rbx)\n"
	"popq 360(%rbx)\n"
	"popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx; ret\n");

enum { CARRY = 1, DIRECTION = 1 << 10 };

static volatile int stop;
static pid_t self, parent;

/* Makes one round of all checks. Returns what was wrong, or NULL. */
static const char *check(struct registers *in, struct registers *out)
{
	memset(out, 0, sizeof *out);
	go_round(in, out, 3000);
	if (memcmp(in, out, sizeof in->general + sizeof in->vectors))
		return "a register";
	if ((out->flags & (CARRY | DIRECTION)) != (CARRY | DIRECTION))
		return "a flag";
	for (int i = 0; i < 20; i++) {
		if (syscall(SYS_getppid) != parent || syscall(SYS_getpid) != self)
			return "a result";
		if (syscall(999) != -1 || errno != ENOSYS)
			return "an error";
	}
	volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	page[7] = 1;
	if (page[0] || page[4095] || page[7] != 1)
		return "a page";
	munmap((void *)page, 4096);
	return NULL;
}

static void *check_registers(void *argument)
{
	struct registers in, out;
	long rounds = 0;
	memset(&in, 0, sizeof in);
	for (int i = 0; i < 13; i++)
		in.general[i] = 0x1111111111111111UL * (unsigned long)(i + 1) + (unsigned long)argument;
	for (int i = 0; i < 16; i++)
		memset(in.vectors[i], i * 13 + 1, 16);
	for (; !stop; rounds++) {
		const char *wrong = check(&in, &out);
		if (wrong) {
			printf("round %ld changed %s\n", rounds, wrong);
			exit(1);
		}
	}
	return rounds ? NULL : (void *)1;
}

/* Prints the kernel's counts of NMIs. */
static void count_nmis(void)
{
	char text[128];
	int fd = (int)MUST(open("/proc/slowpath/nmi", O_RDONLY));
	MUST(write(1, text, (size_t)MUST(read(fd, text, sizeof text))));
	close(fd);
}

/* Checks registers on several threads until standard input has a line or ends. */
static int checks(int threads)
{
	pthread_t ids[8];
	char line[16];
	self = getpid(), parent = getppid();
	for (long i = 0; i < threads; i++)
		pthread_create(&ids[i], NULL, check_registers, (void *)i);
	puts("ready");
	MUST(read(0, line, sizeof line));
	stop = 1;
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	puts("nothing changed");
	count_nmis();
	return 8;
}

/* The tests check by its address whether a CPU is in this loop. */
__attribute__((noinline)) static void spin(void)
{
	for (;;)
		__asm__ volatile("pause");
}

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
	char line[96];
	(void)context;
	int n = snprintf(line, sizeof line, "signal %d code %d address %lx bits %d\n", signal, info->si_code,
			 (unsigned long)info->si_addr, info->si_addr_lsb);
	write(1, line, (size_t)n);
	_exit(3);
}

/* Starts processes that spin. */
static void start_victims(int count, int handled, pid_t *pids)
{
	struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
	for (int i = 0; i < count; i++)
		if ((pids[i] = (pid_t)MUST(fork())) == 0) {
			if (handled)
				MUST(sigaction(SIGBUS, &action, NULL));
			spin();
		}
	usleep(200000); /* gives them time to reach the loop */
	puts("ready");
}

/* Prints how the first process ended, then kills the others. */
static int victims(int count, int handled)
{
	int status, ended = 0;
	pid_t pids[8];
	start_victims(count, handled, pids);
	MUST(wait(&status));
	printf("one ended: signal %d, status %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0, WIFEXITED(status) ? WEXITSTATUS(status) : 0);
	for (int i = 0; i < count; i++)
		ended += kill(pids[i], SIGTERM) != 0;
	while (wait(&status) > 0)
		printf("another lived: signal %d\n", WTERMSIG(status));
	printf("ended before: %d\n", ended);
	return 8;
}

/* Prints how all processes ended. */
static int all_victims(int count)
{
	int status;
	pid_t pids[8];
	start_victims(count, 1, pids);
	while (wait(&status) > 0)
		printf("status %x\n", status);
	return 8;
}

int main(int argc, char **argv)
{
	setbuf(stdout, NULL);
	if (argc < 3)
		return 77;
	if (!strcmp(argv[1], "checks"))
		return checks(atoi(argv[2]));
	if (!strcmp(argv[1], "all"))
		return all_victims(atoi(argv[2]));
	return victims(atoi(argv[2]), !strcmp(argv[1], "handlers"));
}
