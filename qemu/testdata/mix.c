/* Runs fork, exec, mmap and threads for a number of seconds and checks all
 * results. */
#include "report.h"
#include <pthread.h>

static void *touch(void *argument)
{
	long size = (long)argument;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return (void *)1;
	memset(p, 3, size);
	long wrong = 0;
	for (long i = 0; i < size; i += 4096)
		wrong += p[i] != 3;
	return (void *)(wrong + munmap(p, size));
}

static long threads(void)
{
	pthread_t all[8];
	long wrong = 0;
	for (long i = 0; i < 8; i++)
		wrong += pthread_create(&all[i], NULL, touch, (void *)((i + 1) * 16384));
	for (int i = 0; i < 8; i++) {
		void *result;
		pthread_join(all[i], &result);
		wrong += (long)result;
	}
	return wrong;
}

static long execute(void)
{
	int ends[2], status;
	char text[8] = {0};
	MUST(pipe(ends));
	pid_t pid = MUST(fork());
	if (pid == 0) {
		dup2(ends[1], 1);
		execl("/proc/self/exe", "mix", "say", (char *)NULL);
		_exit(98);
	}
	close(ends[1]);
	ssize_t n, got = 0;
	while ((n = read(ends[0], text + got, sizeof text - 1 - got)) > 0)
		got += n;
	close(ends[0]);
	MUST(waitpid(pid, &status, 0));
	return status != 0 || strcmp(text, "said");
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "say"))
		return write(1, "said", 4) != 4;
	int seconds = argc > 1 ? atoi(argv[1]) : 5, workers = argc > 2 ? atoi(argv[2]) : 4;
	time_t end = time(NULL) + seconds;
	for (int i = 0; i < workers; i++) {
		if (MUST(fork()))
			continue;
		long wrong = 0;
		while (time(NULL) < end)
			wrong += threads() + execute();
		_exit(wrong != 0);
	}
	int status, failed = 0;
	while (wait(&status) > 0)
		failed += status != 0;
	printf("%d of %d workers failed\n", failed, workers);
	return failed != 0;
}
