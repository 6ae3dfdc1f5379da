/* Counts the instructions of a call of a function with and without a probe, which
 * perf_event_open(2) counts or tracefs records. The loop around the call has three
 * instructions. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

#define TRACEFS "/sys/kernel/tracing/"

static void store(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_APPEND);
	if (file < 0 || write(file, text, strlen(text)) < 0) {
		perror(path);
		exit(1);
	}
	close(file);
}

/* Prints the instructions of a call that tracefs records. kind is p or r. */
static void print_recorded(const char *name, char kind, const char *function)
{
	char text[100];
	snprintf(text, sizeof text, "%c:bench/%s /proc/self/exe:0x%lx", kind, name, file_offset(function));
	store(TRACEFS "uprobe_events", text);
	store(TRACEFS "events/bench/enable", "1");
	printf("%s %lu\n", name, median(function));
	store(TRACEFS "events/bench/enable", "0");
	snprintf(text, sizeof text, "-:bench/%s", name);
	store(TRACEFS "uprobe_events", text);
}

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
	print_recorded("uprobe_tracefs_on_nop", 'p', begins_with_nop);
	print_recorded("uprobe_tracefs_on_lea_xol", 'p', begins_with_lea);
	print_recorded("uretprobe_tracefs_on_nop", 'r', begins_with_nop);
	printf("call_without_probe %lu\n", median(begins_with_nop));
	return 0;
}
