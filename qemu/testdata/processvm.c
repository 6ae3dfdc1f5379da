/* Accesses the memory of another process by process_vm_readv, process_vm_writev,
 * /proc/PID/mem and ptrace. */
#include "tracee.h"
#include <sys/prctl.h>

enum { PAGE = 4096 };

static const char text[PAGE] __attribute__((aligned(4096))) = "constant";
static char *writable, *readonly, *none, *shared, *writeonly, *file, *end;
static int file_fd;
static pid_t child;

static void wait_here(void)
{
	for (;;)
		pause();
}

static long copy(int write, char *local, size_t n, char *remote, size_t m)
{
	struct iovec l = {local, n}, r = {remote, m};
	return syscall(write ? SYS_process_vm_writev : SYS_process_vm_readv, child, &l, 1, &r, 1, 0);
}

static void map(void)
{
	int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
	writable = (char *)MUST(mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, anonymous, -1, 0));
	end = writable + 2 * PAGE;
	readonly = (char *)MUST(mmap(NULL, PAGE, PROT_READ, anonymous, -1, 0));
	none = (char *)MUST(mmap(NULL, PAGE, PROT_NONE, anonymous, -1, 0));
	writeonly = (char *)MUST(mmap(NULL, PAGE, PROT_WRITE, anonymous, -1, 0));
	char name[] = "/tmp/processvmXXXXXX";
	file_fd = MUST(mkstemp(name));
	MUST(write(file_fd, "contents of the file", 20));
	file = (char *)MUST(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file_fd, 0));
	shared = (char *)MUST(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file_fd, 0));
	unlink(name);
	strcpy(writable, "writable");
	MUST(munmap(end, PAGE));
}

static void by_call(void)
{
	char b[64];
	SHOW(copy(0, b, 8, writable, 8));
	printf("%.8s\n", b);
	SHOW(copy(1, "WRIT", 4, writable, 4));
	SHOW(copy(0, b, 8, writable, 8));
	printf("%.8s\n", b);
	SHOW(copy(0, b, 64, end - 5, 64));
	SHOW(copy(0, b, 64, end, 64));
	SHOW(copy(1, b, 64, end - 5, 64));
	SHOW(copy(0, b, 8, readonly, 8));
	SHOW(copy(1, b, 8, readonly, 8));
	SHOW(copy(0, b, 8, none, 8));
	SHOW(copy(0, b, 8, writeonly, 8));
	SHOW(copy(1, b, 8, writeonly, 8));
	SHOW(copy(0, b, 8, shared, 8));
	SHOW(copy(1, b, 8, file, 8));
	SHOW(copy(0, (char *)8, 8, writable, 8));
	SHOW(copy(0, b, 8, (char *)-4096, 8));
	struct iovec l[3] = {{b, 3}, {b + 3, 0}, {b + 3, 5}}, r[2] = {{writable, 1}, {writable + 1, 100}};
	SHOW(syscall(SYS_process_vm_readv, child, l, 3, r, 2, 0));
	SHOW(syscall(SYS_process_vm_readv, child, l, 3, r, 2, 1));
	SHOW(syscall(SYS_process_vm_readv, child, l, 1025, r, 2, 0));
	SHOW(syscall(SYS_process_vm_readv, child, l, 3, r, 1025, 0));
	SHOW(syscall(SYS_process_vm_readv, child, l, 0, NULL, 1, 0));
	SHOW(syscall(SYS_process_vm_readv, child, l, 1, NULL, 1, 0));
	SHOW(syscall(SYS_process_vm_readv, 1 << 22, l, 1, r, 1, 0));
	r[0].iov_len = -1;
	SHOW(syscall(SYS_process_vm_readv, child, l, 1, r, 1, 0));
}

static void by_file(void)
{
	char name[40], b[16] = "";
	snprintf(name, sizeof name, "/proc/%d/mem", child);
	int fd = MUST(open(name, O_RDWR));
	SHOW(pread(fd, b, 8, (off_t)writable));
	SHOW(pwrite(fd, "forced", 6, (off_t)readonly));
	SHOW(pread(fd, b, 6, (off_t)readonly));
	printf("%.6s\n", b);
	SHOW(pwrite(fd, "x", 1, (off_t)text));
	printf("here: %s, there: %c\n", text, (char)peek(child, text));
	SHOW(pwrite(fd, "FILE", 4, (off_t)file));
	SHOW(pread(fd, b, 8, (off_t)file));
	printf("%.8s, ", b);
	MUST(pread(file_fd, b, 8, 0));
	printf("in the file %.8s\n", b);
	SHOW(pwrite(fd, "x", 1, (off_t)shared));
	SHOW(pread(fd, b, 8, (off_t)shared));
	SHOW(pwrite(fd, "x", 1, (off_t)none));
	SHOW(pread(fd, b, 1, (off_t)writeonly));
	SHOW(pread(fd, b, 8, (off_t)end - 3));
	SHOW(pwrite(fd, b, 8, (off_t)end - 3));
	SHOW(pread(fd, b, 8, (off_t)end));
	SHOW(syscall(SYS_pread64, fd, 8, 8, writable));
	SHOW(syscall(SYS_pwrite64, fd, 8, 8, writable));
	SHOW(lseek(fd, -4096 * 1000L, SEEK_SET));
	SHOW(read(fd, b, 8));
	SHOW(lseek(fd, 96, SEEK_CUR));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(read(fd, b, 0));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	SHOW(pread(fd, b, 8, (off_t)writable));
	SHOW(pwrite(fd, b, 8, (off_t)writable));
	SHOW(open(name, O_RDONLY));
	close(fd);
}

static void by_ptrace(void)
{
	unsigned long word;
	SHOW(trace(PTRACE_PEEKDATA, child, (unsigned long)end - 4, (unsigned long)&word));
	SHOW(trace(PTRACE_PEEKDATA, child, (unsigned long)none, (unsigned long)&word));
	SHOW(trace(PTRACE_PEEKDATA, child, (unsigned long)writable, 8));
	SHOW(trace(PTRACE_PEEKDATA, child, -8ul, (unsigned long)&word));
	SHOW(trace(PTRACE_POKEDATA, child, (unsigned long)readonly + 8, 0x41424344));
	SHOW(trace(PTRACE_POKEDATA, child, (unsigned long)shared, 1));
	SHOW(trace(PTRACE_POKETEXT, child, (unsigned long)wait_here, peek(child, wait_here)));
	SHOW(trace(PTRACE_POKEDATA, child, (unsigned long)end, 1));
	printf("%.4s\n", (char *)&(unsigned long){peek(child, readonly + 8)});
}

static void permissions(void)
{
	pid_t pid = start(wait_here);
	char name[40];
	child = pid;
	snprintf(name, sizeof name, "/proc/%d/syscall", child);
	char b[200];
	int fd = MUST(open(name, O_RDONLY));
	MUST(trace(PTRACE_CONT, child, 0, 0));
	usleep(100000);
	ssize_t n = read(fd, b, sizeof b);
	printf("%.*s\n", n > 3 ? 3 : (int)n, b);
	snprintf(name, sizeof name, "/proc/%d/mem", child);
	if (fork() == 0) {
		MUST(setgid(1000));
		MUST(setuid(1000));
		SHOW(copy(0, b, 8, writable, 8));
		SHOW(open(name, O_RDONLY));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	finish(pid);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	map();
	child = start(wait_here);
	by_call();
	by_ptrace();
	by_file();
	permissions();
	return 10;
}
