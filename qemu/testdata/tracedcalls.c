/* Makes the system calls that the script tracing_calls.sh records. It executes itself once
 * more, with an argument. */
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static void handler(int signal) { (void)signal; }

int main(int argc, char **argv)
{
	/* All six arguments, because raw_syscalls shows them. */
	syscall(SYS_getppid, 1L, 2L, 3L, 4L, 5L, 6L);
	syscall(SYS_lseek, -1L, 5L, (long)SEEK_CUR, 4L, 5L, 6L);
	syscall(SYS_lseek, 100L, -6L, (long)SEEK_END, 4L, 5L, 6L);
	syscall(SYS_openat, (long)AT_FDCWD, "/nothing", (long)(O_RDONLY | O_CLOEXEC), 0L, 5L, 6L);
	syscall(SYS_openat, 77L, "nothing", (long)O_WRONLY, 0600L, 5L, 6L);
	syscall(SYS_sync_file_range, 99L, 1L, 2L, 7L, 5L, 6L);
	if (argc > 1)
		syscall(SYS_exit_group, 3L, 2L, 3L, 4L, 5L, 6L);
	struct sigaction action = {.sa_handler = handler};
	sigaction(SIGUSR1, &action, 0);
	raise(SIGUSR1);
	execl(argv[0], argv[0], "again", (char *)0);
	return 1;
}
