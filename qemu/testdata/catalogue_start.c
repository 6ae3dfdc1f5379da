/* Prints the registers at the program's first instruction. They must not have values
 * of another program (Linux: ELF_PLAT_INIT). It has no C library, whose startup code
 * would run first. */
#include <stddef.h>

static struct {
	unsigned long general[15], flags, sp;
	unsigned char vectors[16][16];
	unsigned int mxcsr;
	unsigned short control;
	unsigned long fs, gs;
	unsigned short segments[4];
} found;

/* Stores all registers. Only RSP may be different from zero. */
__asm__(".globl _start\n_start:\n"
	"movq %rax, found+0(%rip); movq %rbx, found+8(%rip); movq %rcx, found+16(%rip); movq %rdx, found+24(%rip)\n"
	"movq %rsi, found+32(%rip); movq %rdi, found+40(%rip); movq %rbp, found+48(%rip); movq %r8, found+56(%rip)\n"
	"movq %r9, found+64(%rip); movq %r10, found+72(%rip); movq %r11, found+80(%rip); movq %r12, found+88(%rip)\n"
	"movq %r13, found+96(%rip); movq %r14, found+104(%rip); movq %r15, found+112(%rip)\n"
	"pushfq; popq found+120(%rip); movq %rsp, found+128(%rip)\n"
	"leaq found+136(%rip), %rax\n"
	"movups %xmm0, (%rax); movups %xmm1, 16(%rax); movups %xmm2, 32(%rax); movups %xmm3, 48(%rax)\n"
	"movups %xmm4, 64(%rax); movups %xmm5, 80(%rax); movups %xmm6, 96(%rax); movups %xmm7, 112(%rax)\n"
	"movups %xmm8, 128(%rax); movups %xmm9, 144(%rax); movups %xmm10, 160(%rax); movups %xmm11, 176(%rax)\n"
	"movups %xmm12, 192(%rax); movups %xmm13, 208(%rax); movups %xmm14, 224(%rax); movups %xmm15, 240(%rax)\n"
	"stmxcsr 256(%rax); fnstcw 260(%rax)\n"
	"xorl %ebp, %ebp; movq %rsp, %rdi; andq $-16, %rsp; call begin\n");

static char text[4096];
static size_t length;

static void put(const char *s)
{
	while (*s)
		text[length++] = *s++;
}

static void hex(const char *name, unsigned long value)
{
	put(name), put(" ");
	for (int shift = 60; shift >= 0; shift -= 4)
		if (value >> shift || shift == 0)
			text[length++] = "0123456789abcdef"[value >> shift & 15];
	put("\n");
}

static long call(long number, long a, long b, long c)
{
	__asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return number;
}

__attribute__((used, noreturn)) static void begin(unsigned long *stack)
{
	static const char *const names[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
	unsigned long vectors = 0;
	for (int i = 0; i < 15; i++)
		hex(names[i], found.general[i]);
	hex("rflags", found.flags);
	hex("rsp below the argument count", (unsigned long)stack - found.sp);
	hex("rsp's alignment", found.sp & 15);
	for (size_t i = 0; i < sizeof found.vectors; i++)
		vectors |= ((unsigned char *)found.vectors)[i];
	hex("vectors", vectors);
	hex("mxcsr", found.mxcsr);
	hex("control word", found.control);
	call(158, 0x1003, (long)&found.fs, 0);
	call(158, 0x1004, (long)&found.gs, 0);
	hex("fs base", found.fs);
	hex("gs base", found.gs);
	__asm__ volatile("movw %%ds, %0; movw %%es, %1; movw %%fs, %2; movw %%gs, %3"
			 : "=m"(found.segments[0]), "=m"(found.segments[1]), "=m"(found.segments[2]), "=m"(found.segments[3]));
	for (int i = 0; i < 4; i++)
		hex("segment", found.segments[i]);
	call(1, 1, (long)text, (long)length);
	call(60, 8, 0, 0);
	__builtin_unreachable();
}
