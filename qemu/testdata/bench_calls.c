/* Counts the instructions of getppid while trace events of system calls are recorded. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench.h"

enum { CALLS = 200 };

#define EVENTS "/sys/kernel/tracing/events/"

static void store(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);
	if (file < 0 || write(file, text, strlen(text)) < 0) {
		perror(path);
		exit(1);
	}
	close(file);
}

static const struct {
	const char *name, *events[2];
} rows[] = {
	{"trace_raw_enter", {EVENTS "raw_syscalls/sys_enter/enable"}},
	{"trace_raw_exit", {EVENTS "raw_syscalls/sys_exit/enable"}},
	{"trace_raw_enter_exit", {EVENTS "raw_syscalls/sys_enter/enable", EVENTS "raw_syscalls/sys_exit/enable"}},
	{"trace_enter_getppid", {EVENTS "syscalls/sys_enter_getppid/enable"}},
	{"trace_enter_exit_getppid", {EVENTS "syscalls/sys_enter_getppid/enable", EVENTS "syscalls/sys_exit_getppid/enable"}},
	{"trace_enter_other", {EVENTS "syscalls/sys_enter_getsid/enable"}},
	{"trace_off", {0}},
};

int main(void)
{
	for (unsigned n = 0; n < sizeof rows / sizeof *rows; n++) {
		for (int i = 0; i < 2 && rows[n].events[i]; i++)
			store(rows[n].events[i], "1");
		ulong instructions = median_of_calls(SYS_getppid, CALLS);
		for (int i = 0; i < 2 && rows[n].events[i]; i++)
			store(rows[n].events[i], "0");
		printf("%s %lu\n", rows[n].name, instructions);
	}
	return 0;
}
