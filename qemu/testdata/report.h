/* Shared code of the test programs. Each program prints results that are the same on
 * every correct kernel, and ends with its own exit code. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Ends the program if a call fails. */
#define MUST(call)                                                             \
	({                                                                     \
		long result_ = (long)(call);                                   \
		if (result_ == -1) {                                           \
			printf("%s: %s\n", #call, strerror(errno));            \
			fflush(stdout);                                        \
			exit(99);                                              \
		}                                                              \
		result_;                                                       \
	})

/* Prints a call with its result or its error. */
#define SHOW(call)                                                             \
	do {                                                                   \
		errno = 0;                                                     \
		long result_ = (long)(call);                                   \
		printf("%s = %ld %s\n", #call, result_,                        \
		       result_ == -1 ? strerror(errno) : "");                  \
	} while (0)

/* Runs statements in a child, which then exits with 7, and returns its wait status. */
#define IN_A_CHILD(...)                                                        \
	({                                                                     \
		int status_;                                                   \
		fflush(stdout);                                                \
		pid_t pid_ = MUST(fork());                                     \
		if (pid_ == 0) {                                               \
			__VA_ARGS__;                                           \
			fflush(stdout);                                        \
			_exit(7);                                              \
		}                                                              \
		MUST(waitpid(pid_, &status_, 0));                              \
		status_;                                                       \
	})

/* Prints whether a condition is true. */
#define HOLDS(condition)                                                       \
	printf("%s: %s\n", #condition, (condition) ? "yes" : "NO")

/* A general register of a ucontext_t: IP, AX and so on. */
#ifdef __x86_64__
#define REGISTER(context, name) ((context)->uc_mcontext.gregs[REG_R##name])
#else
#define REGISTER(context, name) ((context)->uc_mcontext.gregs[REG_E##name])
#endif
