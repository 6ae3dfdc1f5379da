/* Enters 32-bit code by a far jump and leaves it by exceptions, signals and bad
 * selectors. A 64-bit program can do so on every kernel, because IRET and far jumps
 * accept the descriptor of 32-bit user code. With the argument "calls" it makes 32-bit
 * system calls, whose result depends on the kernel's configuration. */
#include "catalogue.h"

#define CODE64 "0x33"

/* The far pointer to 32-bit code. A far jump loads it, because RETF and IRET in user
 * mode read the stack with the kernel's rights in QEMU before 9.1, which SMAP forbids. */
static struct __attribute__((packed)) { unsigned offset; unsigned short selector; } far32 = {0, 0x23};

static unsigned char stack32[8192] __attribute__((aligned(4096)));

/* What the 32-bit code left in its registers. */
static struct { unsigned ax, bx, si, sp; } left;

/* Runs 32-bit assembly code with DS and ES loaded and a stack of its own. A fault
 * resumes after its end in 64-bit code. */
#define ATTEMPT32(name, text)                                                         \
	do {                                                                          \
		unsigned long ax, bx, si, sp;                                         \
		resume_at = 0;                                                        \
		seen.signal = 0;                                                      \
		__asm__ volatile("leaq 9f(%%rip), %%rax; movq %%rax, %[at]\n"         \
				 "movq %%rsp, %[sp]; leaq 8f(%%rip), %%rdx\n"         \
				 "leaq %[stack], %%rcx; movl $0x2b, %%eax; movl %%eax, %%ds; movl %%eax, %%es\n" \
				 "leaq 7f(%%rip), %%rax; movl %%eax, %[far]\n"        \
				 "movl $0x11111111, %%ebx; movl $0x22222222, %%esi; ljmpl *%[far]\n" \
				 ".code32\n7: movl %%ecx, %%esp\n" text "\n"          \
				 "ljmpl $" CODE64 ", $9f\n8: nop\n.code64\n9: movq %%rsp, %%rcx; movq %[sp], %%rsp\n" \
				 "movl $0, %%edx; movl %%edx, %%ds; movl %%edx, %%es\n" \
				 : [at] "=m"(resume_at), [sp] "=m"(resume_sp), "=&a"(ax), "=&b"(bx), "=&S"(si), "=&c"(sp) \
				 : [stack] "m"(stack32[4096]), [far] "m"(far32)        \
				 : "rdx", "rdi", "rbp", "r8", "r9", "r10", "r11", "memory", "cc"); \
		resume_at = resume_sp = 0;                                            \
		left.ax = ax; left.bx = bx; left.si = si; left.sp = sp;               \
		report(name);                                                         \
	} while (0)

/* The bits of the error code that are printed. QEMU computes the vector's bits of INT n
 * with the size of an entry of 32-bit mode's table. */
static unsigned long shown = ~0UL;

/* Whether report prints the short form of brief. */
static int short_form;
static void brief(void);

static void report(const char *name)
{
	if (short_form)
		brief();
	else if (seen.signal)
		printf("%s: signal %d code %d trap %lu error %lx\n", name, seen.signal, seen.code, seen.trap, seen.error & shown);
	else
		printf("%s: nothing\n", name);
}

/* Exceptions, each of which ends the 32-bit code. */
static void exceptions(void)
{
	ATTEMPT32("no exception", "nop");
	ATTEMPT32("undefined", "ud2");
	ATTEMPT32("halt", "hlt");
	ATTEMPT32("divide", "xorl %%edx, %%edx; xorl %%ecx, %%ecx; divl %%ecx");
	ATTEMPT32("bound", "pushl $1; pushl $0; movl $5, %%eax; boundl %%eax, (%%esp)");
	ATTEMPT32("overflow", "movl $0x7fffffff, %%eax; incl %%eax; into");
	ATTEMPT32("breakpoint", "int3");
	ATTEMPT32("interrupt 3", "int $3");
	ATTEMPT32("interrupt 4", "int $4");
	shown = 7;
	ATTEMPT32("interrupt 1", "int $1");
	ATTEMPT32("interrupt 2", "int $2");
	ATTEMPT32("interrupt 8", "int $8");
	ATTEMPT32("interrupt 14", "int $14");
	ATTEMPT32("interrupt 0x48", "int $0x48");
	ATTEMPT32("interrupt 0xff", "int $0xff");
	shown = ~0UL;
	ATTEMPT32("null read", "xorl %%eax, %%eax; movl (%%eax), %%eax");
	ATTEMPT32("null jump", "xorl %%eax, %%eax; jmp *%%eax");
	ATTEMPT32("jump to the last bytes", "movl $0xfffffffe, %%eax; jmp *%%eax");
	ATTEMPT32("push at 0", "xorl %%esp, %%esp; pushl %%eax");
	ATTEMPT32("control register", "movl %%cr0, %%eax");
	ATTEMPT32("interrupts off", "cli");
	ATTEMPT32("port", "outb %%al, $0xf4");
	ATTEMPT32("far jump to the kernel's code", "ljmpl $0x10, $0");
	ATTEMPT32("far jump to a task", "ljmpl $0x40, $0");
	ATTEMPT32("IRET with NT", "pushfl; orl $0x4000, (%%esp); popfl; iret");
}

/* Selectors of the LDT, which is empty, although the program has written descriptors
 * where the LDT of a CPU is after a reset: 64 KiB from address 0. */
static void local_selectors(void)
{
	unsigned long *page = mmap((void *)0x8000, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (page != MAP_FAILED) {
		page[0] = 0x00cff3000000ffff; /* data */
		page[1] = 0x00cffb000000ffff; /* code */
		page[2] = 0x0000ec0000100000; /* call gate to 0x10:0 */
		page[3] = 0;
	}
	ATTEMPT32("DS of the LDT", "movl $0x8007, %%eax; movl %%eax, %%ds");
	ATTEMPT32("FS of the LDT", "movl $0x8007, %%eax; movl %%eax, %%fs");
	ATTEMPT32("SS of the LDT", "movl $0x8007, %%eax; movl %%eax, %%ss");
	ATTEMPT32("code of the LDT", "ljmpl $0x800f, $0");
	ATTEMPT32("call gate of the LDT", "lcall $0x8017, $0");
	ATTEMPT32("first selector of the LDT", "movl $7, %%eax; movl %%eax, %%ds");
	ATTEMPT("movl $0x8007, %%eax; movl %%eax, %%es");
	report("ES of the LDT in 64-bit code");
}

/* A page at an address that 32-bit code knows. */
static unsigned char *const page32 = (unsigned char *)0x10000000;

/* Prints the fault of an attempt in a short form, or . for none. */
static void brief(void)
{
	if (seen.signal)
		printf(" %d/%lu/%lx", seen.signal, seen.trap, seen.error & shown);
	else
		printf(" .");
}

/* Loads selectors into all segment registers, and jumps to them: the first 32 descriptors of
 * both tables, with all privilege levels, and some beyond the tables. */
static void every_selector(void)
{
	static const unsigned short beyond[] = {0x103, 0x107, 0x8003, 0xfffb, 0xffff};
	memcpy(page32, "\x0f\x0b", 2); /* UD2 */
	for (unsigned n = 0; n < 256 + sizeof beyond / sizeof *beyond; n++) {
		unsigned short selector = n < 256 ? (unsigned short)n : beyond[n - 256];
		struct { unsigned offset; unsigned short selector; } __attribute__((packed)) to = {0x10000000, selector};
		memcpy(&stack32[4096], &to, sizeof to);
		printf("selector %x:", selector);
		ATTEMPT32("", "ljmpl *(%%ecx)");
		ATTEMPT32("", "movw 4(%%ecx), %%ax; movw %%ax, %%ds");
		ATTEMPT32("", "movw 4(%%ecx), %%ax; movw %%ax, %%es");
		ATTEMPT32("", "movw 4(%%ecx), %%ax; movw %%ax, %%gs; xorl %%eax, %%eax; movw %%ax, %%gs");
		ATTEMPT32("", "movw 4(%%ecx), %%ax; movw %%ax, %%ss; movl $0x2b, %%eax; movl %%eax, %%ss");
		printf("\n");
	}
}

/* INT n in 32-bit code, for every n. EAX is no number of a system call. */
static void every_interrupt(void)
{
	shown = 7;
	for (int n = 0; n < 256; n++) {
		memcpy(page32, "\xcd\x00\xc3", 3);
		page32[1] = (unsigned char)n;
		printf("interrupt %x:", n);
		ATTEMPT32("", "movl $0x10000000, %%eax; call *%%eax");
		printf("\n");
	}
	shown = ~0UL;
}

/* Far jumps, segment registers and interrupts, with reports in a short form. */
static void everything(void)
{
	if (mmap(page32, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		printf("no memory at %p\n", (void *)page32);
	short_form = 1;
	every_selector();
	every_interrupt();
	short_form = 0;
}

/* A handler that returns to 32-bit code must find its registers. */
static void handlers(void)
{
	unsigned long ax, bx, si, sp;
	for (int i = 0; i < 3; i++) {
		seen.signal = 0;
		resume_at = resume_sp = 0;
		__asm__ volatile("movq %%rsp, %%r12; movl $0x2b, %%eax; movl %%eax, %%ds; movl %%eax, %%es\n"
				 "leaq %[stack], %%rcx; leaq 7f(%%rip), %%rax; movl %%eax, %[far]\n"
				 "movl $0x11111111, %%ebx; movl $0x22222222, %%esi; ljmpl *%[far]\n"
				 ".code32\n7: movl %%ecx, %%esp; movl $0x33333333, %%eax; int3; incl %%eax; int3; incl %%esi\n"
				 "ljmpl $" CODE64 ", $9f\n.code64\n9: movq %%rsp, %%rcx; movq %%r12, %%rsp\n"
				 "movl $0, %%edx; movl %%edx, %%ds; movl %%edx, %%es\n"
				 : "=&a"(ax), "=&b"(bx), "=&S"(si), "=&c"(sp) : [stack] "m"(stack32[4096]), [far] "m"(far32)
				 : "rdx", "rdi", "r8", "r9", "r10", "r11", "r12", "memory", "cc");
		printf("after two handlers: eax %lx ebx %lx esi %lx, the stack pointer is kept: %d, signal %d\n", ax, bx, si,
		       sp == (unsigned long)&stack32[4096], seen.signal);
	}
}

/* 32-bit system calls: how they end, and what SYSCALL leaves in EAX. */
static void calls(void)
{
	ATTEMPT32("SYSCALL", "movl $20, %%eax; syscall");
	printf("eax %d ebx %x esi %x, the stack pointer is kept: %d\n", (int)left.ax, left.bx, left.si,
	       left.sp == (unsigned)(unsigned long)&stack32[4096]);
	ATTEMPT32("SYSCALL without a stack", "xorl %%esp, %%esp; movl $20, %%eax; syscall; movl %%eax, %%ebx");
	printf("ebx %d\n", (int)left.bx);
	ATTEMPT32("SYSCALL at the end of 4 GiB", "movl $0xfffffffe, %%esp; movl $20, %%eax; syscall");
	printf("eax %d\n", (int)left.ax);
	ATTEMPT32("SYSCALL with NT", "pushfl; orl $0x4000, (%%esp); popfl; movl $20, %%eax; syscall");
	printf("eax %d\n", (int)left.ax);
	ATTEMPT32("SYSENTER with NT", "pushfl; orl $0x4000, (%%esp); popfl; movl $20, %%eax; movl %%esp, %%ebp; sysenter");
	printf("eax %d\n", (int)left.ax);
	ATTEMPT32("INT 0x80 with AC and NT", "pushfl; orl $0x44000, (%%esp); popfl; movl $20, %%eax; int $0x80; movl %%eax, %%ebx; pushl $0x202; popfl");
	printf("ebx %d\n", (int)left.bx);
	ATTEMPT32("SYSCALL single-stepped", "pushfl; orl $0x100, (%%esp); popfl; movl $20, %%eax; syscall; nop");
	ATTEMPT32("SYSENTER", "movl $20, %%eax; movl %%esp, %%ebp; sysenter");
	shown = 7;
	ATTEMPT32("INT 0x80", "movl $20, %%eax; int $0x80");
	ATTEMPT("movl $20, %%eax; int $0x80");
	report("INT 0x80 in 64-bit code");
	ATTEMPT("movl $20, %%eax; sysenter");
	report("SYSENTER in 64-bit code");
}

int main(int argc, char **argv)
{
	(void)argv;
	setbuf(stdout, NULL);
	keep_faults();
	if (argc > 1) {
		calls();
		return 8;
	}
	exceptions();
	local_selectors();
	handlers();
	everything();
	return 8;
}
