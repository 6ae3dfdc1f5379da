/* Checks calls on files, directories and descriptors, with valid and invalid
 * arguments. */
#include "report.h"
#include <dirent.h>
#include <sys/file.h>
#include <sys/uio.h>

static void contents(void)
{
	char text[64] = {0};
	struct stat st;
	int fd = MUST(open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
	SHOW(open("a", O_CREAT | O_EXCL, 0600));
	struct iovec parts[] = {{"hello ", 6}, {"world", 5}};
	SHOW(writev(fd, parts, 2));
	SHOW(pread(fd, text, 5, 6));
	SHOW(lseek(fd, -3, SEEK_END));
	SHOW(read(fd, text, sizeof text));
	printf("text '%s'\n", text);
	SHOW(lseek(fd, 10000, SEEK_SET));
	SHOW(write(fd, "!", 1));
	MUST(fstat(fd, &st));
	printf("size %ld mode %o links %ld\n", (long)st.st_size, st.st_mode, (long)st.st_nlink);
	SHOW(ftruncate(fd, 4));
	SHOW(pread(fd, text, sizeof text, 0));
	SHOW(lseek(fd, -1, SEEK_SET));
	SHOW(lseek(fd, 0, 77));
	SHOW(posix_fallocate(fd, 0, 8192));
	SHOW(fsync(fd));
	SHOW(flock(fd, LOCK_EX | LOCK_NB));
	SHOW(close(fd));
	SHOW(close(fd));
}

static void names(void)
{
	struct stat st;
	char target[64] = {0};
	SHOW(link("a", "b"));
	SHOW(symlink("b", "c"));
	SHOW(readlink("c", target, sizeof target));
	SHOW(symlink("loop", "loop"));
	SHOW(open("loop", O_RDONLY));
	SHOW(rename("a", "d"));
	SHOW(access("a", F_OK));
	MUST(stat("c", &st));
	printf("links %ld\n", (long)st.st_nlink);
	SHOW(mkdir("dir", 0755));
	SHOW(mkdir("dir", 0755));
	SHOW(rmdir("nothing"));
	SHOW(unlink("dir"));
	SHOW(rename("dir", "dir/below"));
	SHOW(open("d/x", O_RDONLY));
	SHOW(open("dir", O_WRONLY));
	SHOW(open("", O_RDONLY));
	SHOW(chmod("d", 04711));
	MUST(stat("d", &st));
	printf("mode %o\n", st.st_mode);
	struct timespec times[] = {{1000, 5}, {2000, 7}};
	SHOW(utimensat(AT_FDCWD, "d", times, 0));
	MUST(stat("d", &st));
	printf("times %ld %ld\n", (long)st.st_atime, (long)st.st_mtime);
}

static void directories(void)
{
	char name[32], path[300];
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "dir/file%03d", i);
		close(MUST(open(name, O_CREAT | O_WRONLY, 0600)));
	}
	DIR *dir = opendir("dir");
	int count = 0;
	for (struct dirent *e; (e = readdir(dir));)
		count += e->d_name[0] == 'f' && e->d_type == DT_REG;
	closedir(dir);
	printf("%d files\n", count);
	SHOW(rmdir("dir"));
	memset(path, 'n', sizeof path - 1);
	path[sizeof path - 1] = 0;
	SHOW(open(path, O_CREAT | O_WRONLY, 0600));
	SHOW(chdir("dir"));
	printf("%s\n", strrchr(getcwd(path, sizeof path), '/'));
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "file%03d", i);
		MUST(unlink(name));
	}
	SHOW(chdir(".."));
	SHOW(rmdir("dir"));
	SHOW(unlink("b") | unlink("c") | unlink("d") | unlink("loop"));
}

static void descriptors(void)
{
	int fd = MUST(open("/dev/null", O_RDWR));
	SHOW(dup2(fd, 100));
	SHOW(fcntl(100, F_GETFD));
	SHOW(dup3(fd, fd, O_CLOEXEC));
	SHOW(dup3(fd, 101, O_CLOEXEC));
	SHOW(fcntl(101, F_GETFD));
	SHOW(fcntl(fd, F_DUPFD, 200));
	SHOW(write(fd, "gone", 4));
	SHOW(read(fd, &fd, sizeof fd));
	SHOW(read(-1, &fd, 1));
	SHOW(write(9999, &fd, 1));
	int zero = MUST(open("/dev/zero", O_RDONLY)), full = MUST(open("/dev/full", O_WRONLY));
	long word = 1;
	SHOW(read(zero, &word, sizeof word));
	printf("word %ld\n", word);
	SHOW(write(full, "x", 1));
}

int main(void)
{
	char dir[] = "/tmp/files-XXXXXX";
	MUST(mkdtemp(dir) ? 0 : -1);
	MUST(chdir(dir));
	umask(022);
	contents();
	names();
	directories();
	descriptors();
	MUST(chdir("/"));
	MUST(rmdir(dir));
	return 6;
}
