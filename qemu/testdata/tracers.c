// A tracer and its tracee, which may have another width. With an argument, the tracer executes
// that program as the tracee and prints what it sees; without, the program is the tracee.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PRXFPREG = 0x46e62b7f, TLS = 0x200, IOPERM = 0x201, XSTATE = 0x202, GET_THREAD_AREA = 25 };

static unsigned char buffer[16384];

// request returns the result of ptrace(2), or -errno.
static long request(int number, pid_t tracee, unsigned long address, unsigned long data) {
	errno = 0;
	long result = syscall(SYS_ptrace, number, tracee, address, data);
	return result < 0 ? -errno : result;
}

// written returns how many bytes of the buffer a request has written.
static size_t written(void) {
	size_t n = sizeof buffer;
	while (n && buffer[n - 1] == 0xee)
		n--;
	return n;
}

static void show(const char *name, int number, pid_t tracee, unsigned long address) {
	memset(buffer, 0xee, sizeof buffer);
	long result = request(number, tracee, address, (unsigned long)buffer);
	printf("%s %ld, %zu bytes\n", name, result, written());
}

static void sets(pid_t tracee) {
	static const struct { const char *name; unsigned type; } list[] = {
		{"PRSTATUS", NT_PRSTATUS}, {"PRFPREG", NT_PRFPREG}, {"PRXFPREG", PRXFPREG}, {"TLS", TLS}, {"IOPERM", IOPERM},
	};
	static const size_t lengths[] = {0, 4, 6, 8, 48, 16000};
	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
			struct iovec v = {buffer, lengths[k]};
			memset(buffer, 0xee, sizeof buffer);
			long result = request(PTRACE_GETREGSET, tracee, list[i].type, (unsigned long)&v);
			printf("%s of %zu: %ld, %zu\n", list[i].name, lengths[k], result, result ? 0 : (size_t)v.iov_len);
		}
}

static void user(pid_t tracee) {
	for (unsigned at = 0; at < 1000; at += at < 70 || (at > 240 && at < 300) ? 1 : 37) {
		unsigned long words[2] = {0, 0x77};
		long result = request(PTRACE_PEEKUSER, tracee, at, (unsigned long)words);
		if (result)
			printf("word %u: %ld\n", at, result);
		else
			printf("word %u: %lx\n", at, words[1]);
		if (at > 240 && (result = request(PTRACE_POKEUSER, tracee, at, 0)) != 0)
			printf("write of word %u: %ld\n", at, result);
	}
}

static void examine(pid_t tracee) {
	sets(tracee);
	show("GETREGS", PTRACE_GETREGS, tracee, 0);
	show("GETFPREGS", PTRACE_GETFPREGS, tracee, 0);
	show("GETFPXREGS", PTRACE_GETFPXREGS, tracee, 0);
	show("GETSIGINFO", PTRACE_GETSIGINFO, tracee, 0);
	show("GETSIGMASK", 0x420a, tracee, 8);
	show("GETEVENTMSG", PTRACE_GETEVENTMSG, tracee, 0);
	show("PEEKDATA", PTRACE_PEEKDATA, tracee, 0x10);
	show("ARCH_PRCTL", 30, tracee, 0x1003);
	show("unknown", 1000, tracee, 0);
	for (int entry = -1; entry < 17; entry++)
		show("thread area", GET_THREAD_AREA, tracee, entry);
	user(tracee);
}

static int trace(char **command) {
	pid_t tracee = fork();
	if (!tracee) {
		request(PTRACE_TRACEME, 0, 0, 0);
		execv(command[0], command);
		_exit(99);
	}
	int status, examined = 0;
	waitpid(tracee, &status, 0);
	request(PTRACE_SETOPTIONS, tracee, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXIT);
	while (!WIFEXITED(status) && !WIFSIGNALED(status)) {
		int signal = 0;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			struct { uint8_t op; uint32_t arch; uint64_t ip, sp, words[8]; } info = {0};
			long result = request(0x420e, tracee, sizeof info, (unsigned long)&info);
			int number = info.op == 1 && examined;
			if (examined)
				printf("call %d: arch %x, %ld bytes, %lld\n", info.op, info.arch, result, number ? (long long)info.words[0] : 0);
			if (number && (info.words[0] == 20 || info.words[0] == 39)) { // getpid becomes an unknown call
				printf("replaced: %ld\n", request(PTRACE_POKEUSER, tracee, sizeof(long) == 4 ? 44 : 120, 500));
			}
		} else if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {
			show("exit", PTRACE_GETEVENTMSG, tracee, 0);
		} else {
			signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
			printf("signal %d\n", signal);
			if (signal == SIGUSR1) {
				examine(tracee);
				examined = 1;
			}
		}
		request(PTRACE_SYSCALL, tracee, 0, signal);
		waitpid(tracee, &status, 0);
	}
	printf("end %x\n", status);
	return 0;
}

static void handler(int signal) { (void)signal; }

int main(int argc, char **argv) {
	setvbuf(stdout, 0, _IOLBF, 0);
	if (argc > 1)
		return trace(argv + 1);
	signal(SIGUSR1, handler);
	signal(SIGALRM, handler);
	raise(SIGUSR1);
	long replaced = syscall(SYS_getpid);
	close(77);
	alarm(1);
	struct timespec t = {0, 1000};
	nanosleep(&t, 0);
	pause();
	return replaced == -1 && errno == EINTR ? 3 : 4;
}
