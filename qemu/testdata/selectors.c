/* Makes far jumps, calls and returns to every kind of selector, with good and with bad stacks,
 * and prints the signal of each. It is built for 64 and for 32 bits. An argument selects a
 * part: sigreturn, jmp, call, ret, iret, stack-segment, bad-stacks or vm86. */
#include "report.h"
#include <asm/ldt.h>
#include <sys/uio.h>
#include <ucontext.h>

#ifdef __x86_64__
#define WORD "q"
#define FAR_RETURN "lretq"
#define INTERRUPT_RETURN "iretq"
#define IP REG_RIP
#define SP REG_RSP
#define NATIVE_CODE 0x33
#else
#define WORD "l"
#define FAR_RETURN "lret"
#define INTERRUPT_RETURN "iret"
#define IP REG_EIP
#define SP REG_ESP
#define NATIVE_CODE 0x23
#endif

enum { PAGE = 4096, USER_DATA = 0x2b, LOCAL = 4, TRAPPED_PAGE_FAULT = 14 };

/* The instructions end at the label "target" or in a fault. "recover" is where the signal
 * handler continues, with the stack of do_transfer's caller. */
void do_transfer(const void *instruction, void *stack, void *operand);
extern char far_jump[], far_call[], far_return[], far_return_long[], interrupt_return[], interrupt_return_long[], signal_return[];
extern char target[], recover[];
unsigned long saved_stack;

/* clang-format off */
asm(".text\n"
    ".globl do_transfer, far_jump, far_call, far_return, far_return_long, interrupt_return, interrupt_return_long, signal_return, target, recover\n"
    "do_transfer:\n"
#ifdef __x86_64__
    "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "	mov %rsp, saved_stack\n"
    "	mov %rsi, %rsp\n"
    "	mov %rdx, %rbx\n"
    "	jmp *%rdi\n"
    "far_jump:	ljmpl *(%rbx)\n"
    "	ud2\n"
    "far_call:	lcalll *(%rbx)\n"
#else
    "	push %ebx; push %ebp; push %esi; push %edi\n"
    "	mov 20(%esp), %eax\n"
    "	mov 28(%esp), %ebx\n"
    "	mov %esp, saved_stack\n"
    "	mov 24(%esp), %esp\n"
    "	jmp *%eax\n"
    "far_jump:	ljmp *(%ebx)\n"
    "	ud2\n"
    "far_call:	lcall *(%ebx)\n"
#endif
    "	ud2\n"
    "far_return:	lretl\n"
    "	ud2\n"
    "far_return_long:	" FAR_RETURN "\n"
    "	ud2\n"
    "interrupt_return:	iretl\n"
    "	ud2\n"
    "interrupt_return_long:	" INTERRUPT_RETURN "\n"
    "	ud2\n"
    "signal_return:	ud2\n" /* the handler returns to the target */
    "target:	ud2\n"
    "recover:	push $0x202\n" /* sigreturn keeps NT */
#ifdef __x86_64__
    "	popfq\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
#else
    "	popfl\n"
    "	pop %edi; pop %esi; pop %ebp; pop %ebx\n"
#endif
    "	ret\n");
/* clang-format on */

/* What the last signal has found. */
static struct {
	int signal, code;
	unsigned long trap, error, ip, sp, cs, ss, address;
} seen;

/* The segments to which the handler returns from signal_return. */
static unsigned next_cs, next_ss;

static void set_segments(greg_t *r, unsigned cs, unsigned ss)
{
#ifdef __x86_64__
	r[REG_CSGSFS] = (r[REG_CSGSFS] & 0xffffffff0000) | cs | (greg_t)ss << 48;
#else
	r[REG_CS] = cs;
	r[REG_SS] = ss;
#endif
}

static void handler(int signal, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	if (r[IP] == (greg_t)signal_return) {
		r[IP] = (greg_t)target;
		set_segments(r, next_cs, next_ss);
		return;
	}
	seen.signal = signal;
	seen.code = info->si_code;
	seen.trap = r[REG_TRAPNO];
	seen.error = r[REG_ERR];
	seen.ip = r[IP];
	seen.address = (unsigned long)info->si_addr;
#ifdef __x86_64__
	seen.sp = r[REG_RSP];
	seen.cs = r[REG_CSGSFS] & 0xffff;
	seen.ss = (unsigned long)r[REG_CSGSFS] >> 48;
#else
	seen.sp = r[REG_UESP];
	seen.cs = r[REG_CS] & 0xffff;
	seen.ss = r[REG_SS] & 0xffff;
#endif
	set_segments(r, NATIVE_CODE, USER_DATA);
	r[REG_EFL] = 0x202;
	r[IP] = (greg_t)recover;
	r[SP] = (greg_t)saved_stack;
}

/* One instruction, and how it finds its target. */
struct transfer {
	const char *name;
	char *instruction;
	int words; /* that it pops, or 0 */
	int size;  /* of a word */
};

static const struct transfer jump = {"jmp", far_jump, 0, 4}, call = {"call", far_call, 0, 4}, ret = {"ret", far_return, 2, 4},
#ifdef __x86_64__
			     /* IRETL of 64-bit code pops SS and ESP as well. */
	iret = {"iret", interrupt_return, 5, 4}, long_ret = {"long ret", far_return_long, 4, 8}, long_iret = {"long iret", interrupt_return_long, 5, 8};
#else
	iret = {"iret", interrupt_return, 3, 4};
#endif
static const struct transfer handler_return = {"sigreturn", signal_return, 0, 4};

/* An area below 4 GiB: it is the good stack, and holds operands. */
static char *low;

/* Prints an address relative to what it is near, for the output is compared. */
static void show_address(unsigned long address, const void *sp, const void *operand)
{
	const struct {
		const char *name;
		unsigned long at;
	} places[] = {{"sp", (unsigned long)sp}, {"low", (unsigned long)low}, {"operand", (unsigned long)operand}};
	for (int i = 0; i < 3; i++)
		if (address - (places[i].at - 2 * PAGE) < 5 * PAGE) {
			printf("%s%+ld", places[i].name, (long)(address - places[i].at));
			return;
		}
	printf("elsewhere");
}

/* Executes the instruction with sp, and prints what has happened. If known is set, QEMU 7.2
 * differs from a processor, and the signal is not shown. */
static void execute(const struct transfer *t, void *sp, void *operand, int known)
{
	memset(&seen, 0, sizeof seen);
	do_transfer(t->instruction, sp, operand);
	if (known) {
		printf("executed\n");
		return;
	}
	if (seen.ip == (unsigned long)target && seen.signal == SIGILL) {
		printf("reached");
	} else {
		printf("signal %d code %d trap %lu ", seen.signal, seen.code, seen.trap);
		/* Processors read the words in different order, so only the page is known. */
		if (seen.trap == TRAPPED_PAGE_FAULT)
			show_address(seen.address & -PAGE, (void *)((unsigned long)sp & -PAGE), operand);
		else
			printf("error %lx", seen.error);
		printf(" %s", seen.ip == (unsigned long)t->instruction ? "there" : seen.ip == (unsigned long)target ? "at the target" : "elsewhere");
	}
	printf(", cs %lx ss %lx ", seen.cs, seen.ss);
	show_address(seen.sp, sp, operand);
	printf("\n");
}

/* Writes the words that t pops to place. */
static void prepare(const struct transfer *t, void *place, unsigned cs, unsigned ss, unsigned long flags)
{
	unsigned long values[] = {(unsigned long)target, cs, flags, (unsigned long)low + 2 * PAGE, ss};
	if (t == &ret || t->words == 4) /* to another privilege level it pops SP and SS */
		values[2] = (unsigned long)low + 2 * PAGE, values[3] = ss;
	for (int i = 0; i < 5; i++)
		memcpy((char *)place + i * t->size, &values[i], t->size);
}

static void transfer(const struct transfer *t, unsigned cs, unsigned ss, int known)
{
	struct {
		unsigned offset;
		unsigned short selector;
	} __attribute__((packed)) *pointer = (void *)low;
	pointer->offset = (unsigned long)target;
	pointer->selector = cs;
	char *sp = low + PAGE;
	prepare(t, sp, cs, ss, 0x202);
	next_cs = cs;
	next_ss = ss;
	execute(t, sp, low, known);
}

enum { CODE, EXECUTE_ONLY, NO_CODE, NO_CONFORMING, DATA, READ_ONLY, NO_DATA, EXPAND_DOWN, SHORT_CODE, KINDS };

static const char *const kinds[] = {
	"code", "execute-only", "code not present", "conforming not present", "data", "read-only", "data not present", "expand-down", "short code",
};

static void make_descriptors(void)
{
	for (int kind = 0; kind < KINDS; kind++) {
		struct user_desc d = {.entry_number = kind + 1, .limit = 0xfffff, .limit_in_pages = 1, .seg_32bit = 1};
		d.contents = kind == NO_CONFORMING ? 3 : kind == CODE || kind == EXECUTE_ONLY || kind == NO_CODE || kind == SHORT_CODE ? 2 : kind == EXPAND_DOWN;
		d.read_exec_only = kind == EXECUTE_ONLY || kind == READ_ONLY;
		d.seg_not_present = kind == NO_CODE || kind == NO_CONFORMING || kind == NO_DATA;
		if (kind == SHORT_CODE)
			d.limit = d.limit_in_pages = 0;
		MUST(syscall(SYS_modify_ldt, 0x11, &d, sizeof d));
	}
	struct user_desc *d = (void *)low;
	*d = (struct user_desc){.entry_number = 13, .limit = 0xfffff, .limit_in_pages = 1, .seg_32bit = 1, .useable = 1};
	long result;
	asm volatile("int $0x80"
		     : "=a"(result)
		     : "a"(243 /* set_thread_area of 32-bit code */), "b"(d) : "memory", "cc");
	printf("set_thread_area = %ld\n", result);
}

/* Reports where QEMU 7.2 differs from a processor. Only far JMP checks the limit of the code
 * segment as it should: the error code of far CALL is the selector, and far RET and IRET check
 * nothing. IRET to a stack segment that is not present raises #NP in place of #SS. */
static int differs_in_qemu(const struct transfer *t, int kind, int as_stack)
{
	if (as_stack)
		return kind == NO_DATA && t != &handler_return;
	return kind == SHORT_CODE && t != &jump;
}

static void one_selector(const struct transfer *t, unsigned selector, const char *what, int as_stack, int known)
{
	printf("%s %s %x (%s): ", t->name, as_stack ? "ss" : "cs", selector, what);
	transfer(t, as_stack ? NATIVE_CODE : selector, as_stack ? selector : USER_DATA, known);
}

/* Executes t with every selector of the GDT, and with one of each kind of the LDT, as CS or SS. */
static void every_selector(const struct transfer *t, int as_stack)
{
	for (unsigned selector = 0; selector < 0x90; selector++)
		if ((selector & LOCAL) == 0)
			one_selector(t, selector, "GDT", as_stack, 0);
	for (int kind = -1; kind <= KINDS; kind++)
		for (int level = 0; level < 4; level++)
			one_selector(t, (kind + 1) << 3 | LOCAL | level, kind < 0 ? "empty" : kind == KINDS ? "beyond" : kinds[kind], as_stack,
				     differs_in_qemu(t, kind, as_stack));
}

static void *area(int protection)
{
	char *a = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	MUST(munmap(a, PAGE));
	MUST(munmap(a + 2 * PAGE, PAGE));
	MUST(mprotect(a + PAGE, PAGE, protection));
	return a + PAGE;
}

/* Executes t with stacks that cannot be read, or only in part, or after a page fault. */
static void bad_stacks_of(const struct transfer *t)
{
	int bytes = t->words * t->size, file = MUST(memfd_create("stack", 0));
	char content[PAGE] = {0};
	printf("%s, no page: ", t->name);
	execute(t, (char *)area(PROT_READ) + PAGE, low, 0);
	printf("%s, no access: ", t->name);
	execute(t, area(PROT_NONE), low, 0);
	printf("%s, a new page: ", t->name);
	execute(t, area(PROT_READ | PROT_WRITE), low, 0);
	for (int i = t->size; i < bytes; i += t->size) {
		char *a = area(PROT_READ | PROT_WRITE), *sp = a + PAGE - i;
		prepare(t, low + 3 * PAGE, NATIVE_CODE, USER_DATA, 0x202);
		memcpy(sp, low + 3 * PAGE, i);
		printf("%s, the page ends after %d words: ", t->name, i / t->size);
		execute(t, sp, low, 0);
	}
	prepare(t, content, NATIVE_CODE, USER_DATA, 0x202);
	MUST(write(file, content, PAGE));
	void *mapped = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_32BIT, file, 0);
	printf("%s, a page of a file: ", t->name);
	execute(t, mapped, low, 0);
	MUST(close(file));
	if (t == &ret || t->words == 4)
		return;
	char *sp = low + PAGE;
	prepare(t, sp, NATIVE_CODE, USER_DATA, 0x4202);
	printf("%s, NT in the image: ", t->name);
	execute(t, sp, low, 0);
	prepare(t, sp, NATIVE_CODE, USER_DATA, 0x39fed7);
	printf("%s, all flags but VM, AC and TF in the image: ", t->name);
	execute(t, sp, low, 0);
}

static void bad_stacks_of_call(void)
{
	unsigned pointer[] = {(unsigned long)target, NATIVE_CODE};
	memcpy(low, pointer, sizeof pointer);
	char *a;
	printf("call, no page: ");
	execute(&call, area(PROT_READ), low, 0);
	printf("call, no access: ");
	execute(&call, (char *)area(PROT_NONE) + PAGE, low, 0);
	printf("call, read only: ");
	execute(&call, (char *)area(PROT_READ) + PAGE, low, 0);
	printf("call, a new page: ");
	execute(&call, (char *)area(PROT_READ | PROT_WRITE) + PAGE, low, 0);
	printf("call, one word before the page: ");
	execute(&call, (char *)area(PROT_READ | PROT_WRITE) + 4, low, 0);
	a = area(PROT_READ | PROT_WRITE);
	a[0] = 1;
	fflush(stdout);
	int status;
	pid_t child = fork();
	if (child == 0) {
		printf("call, a page to copy: ");
		execute(&call, a + PAGE, low, 0);
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, &status, 0);
	printf("child %x\n", status);
	printf("call, the operand has no page: ");
	execute(&call, low + PAGE, (char *)area(PROT_READ) - PAGE, 0);
}

/* VM in the image of IRET does nothing on a processor. QEMU 7.2 enters virtual 8086 mode and
 * loads all segment registers, so the child does not get far. */
static void virtual_8086(void)
{
	int status;
	pid_t child = MUST(fork());
	if (child == 0) {
		for (int i = 1; i < 32; i++)
			signal(i, SIG_DFL);
		alarm(2);
		prepare(&iret, low, NATIVE_CODE, USER_DATA, 0x20202);
		do_transfer(interrupt_return, low, low);
		_exit(0);
	}
	MUST(waitpid(child, &status, 0));
	HOLDS(WIFSIGNALED(status));
}

static void bad_stacks(void)
{
	bad_stacks_of_call();
	bad_stacks_of(&ret);
	bad_stacks_of(&iret);
#ifdef __x86_64__
	bad_stacks_of(&long_ret);
	bad_stacks_of(&long_iret);
#endif
}

int main(int argc, char **argv)
{
	const char *part = argc > 1 ? argv[1] : "";
	setvbuf(stdout, NULL, _IOLBF, 0);
	static char stack[1 << 16];
	stack_t s = {.ss_sp = stack, .ss_size = sizeof stack};
	MUST(sigaltstack(&s, NULL));
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE};
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
		MUST(sigaction(signals[i], &action, NULL));
	low = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	make_descriptors();
	static const struct {
		const char *part;
		const struct transfer *t;
		int as_stack;
	} parts[] = {
		{"sigreturn", &handler_return, 0}, {"sigreturn", &handler_return, 1},
		{"jmp", &jump, 0}, {"call", &call, 0}, {"ret", &ret, 0}, {"iret", &iret, 0},
#ifdef __x86_64__
		{"iret", &long_iret, 0}, {"ret", &long_ret, 0}, {"stack-segment", &iret, 1}, {"stack-segment", &long_iret, 1},
#endif
	};
	for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
		if (*part == 0 || strcmp(part, parts[i].part) == 0)
			every_selector(parts[i].t, parts[i].as_stack);
	if (*part == 0 || strcmp(part, "bad-stacks") == 0)
		bad_stacks();
	if (strcmp(part, "vm86") == 0)
		virtual_8086();
	return 7;
}
