/* Counts the instructions of a call of a function with and without a probe, which
 * perf_event_open(2) counts. The loop around the call has three instructions. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench.h"
#include "uprobe.h"

enum { CALLS = 200, ROUNDS = 31 };

/* Functions whose first instruction is emulated: a NOP, a LEA, and the prologue of a
 * compiler; and one whose first instruction is executed out of line. */
__asm__(".pushsection .text\n"
	".globl begins_with_nop, begins_with_lea, begins_with_push, begins_with_multiply\n"
	".type begins_with_nop, @function\n.type begins_with_lea, @function\n"
	".type begins_with_push, @function\n.type begins_with_multiply, @function\n"
	"begins_with_nop: nop\n ret\n.size begins_with_nop, . - begins_with_nop\n"
	"begins_with_lea: lea 8(%rdi), %rax\n ret\n.size begins_with_lea, . - begins_with_lea\n"
	"begins_with_push: push %rbp\n pop %rbp\n ret\n.size begins_with_push, . - begins_with_push\n"
	"begins_with_multiply: imul %rdi, %rdi\n ret\n.size begins_with_multiply, . - begins_with_multiply\n"
	".popsection\n");

extern char begins_with_nop[], begins_with_lea[], begins_with_push[], begins_with_multiply[];

static __attribute__((noinline)) ulong round_of_calls(const char *function)
{
	long left = CALLS;
	ulong start = ticks();
	__asm__ volatile("1: call *%1; decq %0; jnz 1b" : "+r"(left) : "r"(function) : "rax", "rdi", "memory");
	return (ticks() - start) / CALLS;
}

static ulong median(const char *function)
{
	ulong sorted[ROUNDS];
	for (int n = 0; n < ROUNDS; n++)
		insert(sorted, n, round_of_calls(function));
	return sorted[ROUNDS / 2];
}

static const struct {
	const char *name, *function;
	enum probe_kind kind;
} rows[] = {
	{"uprobe_perf_count_on_nop", begins_with_nop, ENTRY},
	{"uprobe_perf_count_on_lea_xol", begins_with_lea, ENTRY},
	{"uprobe_perf_count_on_push", begins_with_push, ENTRY},
	{"uprobe_perf_count_out_of_line", begins_with_multiply, ENTRY},
	{"uretprobe_perf_count_on_nop", begins_with_nop, RETURN},
	{"uretprobe_perf_count_on_lea_xol", begins_with_lea, RETURN},
};

int main(void)
{
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		int event = probe(rows[i].function, rows[i].kind);
		if (event < 0) {
			perror(rows[i].name);
			return 1;
		}
		printf("%s %lu\n", rows[i].name, median(rows[i].function));
		long long count = count_of(event);
		if (count != CALLS * ROUNDS) {
			fprintf(stderr, "%s: %lld hits were counted\n", rows[i].name, count);
			return 2;
		}
		close(event);
	}
	printf("call_without_probe %lu\n", median(begins_with_nop));
	return 0;
}
