/* Makes the system calls that the script tracing_calls.sh records. It executes itself once
 * more, with an argument. */
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static void handler(int signal) { (void)signal; }

int main(int argc, char **argv)
{
	syscall(SYS_getppid);
	syscall(SYS_lseek, -1, 5L, SEEK_CUR);
	syscall(SYS_lseek, 100, -6L, SEEK_END);
	syscall(SYS_openat, AT_FDCWD, "/nothing", O_RDONLY | O_CLOEXEC, 0);
	syscall(SYS_openat, 77, "nothing", O_WRONLY, 0600);
	syscall(SYS_sync_file_range, 99, 1L, 2L, 7);
	if (argc > 1)
		syscall(SYS_exit_group, 3);
	struct sigaction action = {.sa_handler = handler};
	sigaction(SIGUSR1, &action, 0);
	raise(SIGUSR1);
	execl(argv[0], argv[0], "again", (char *)0);
	return 1;
}
