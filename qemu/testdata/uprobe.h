/* Shared code of the programs that put probes on their own functions with
 * perf_event_open(2) and the uprobe PMU. */
#include <linux/perf_event.h>
#include <sys/ioctl.h>

/* The type of the uprobe PMU, or -1. */
static inline int uprobe_type(void)
{
	int type = -1;
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
	if (!file || fscanf(file, "%d", &type) != 1)
		type = -1;
	if (file)
		fclose(file);
	return type;
}

/* The offset in the program's file of an address in its code, from /proc/self/maps. */
static inline unsigned long file_offset(const void *address)
{
	unsigned long start, end, offset, at = (unsigned long)address;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && at >= start && at < end) {
			fclose(maps);
			return at - start + offset;
		}
	if (maps)
		fclose(maps);
	return 0;
}

enum probe_kind { ENTRY = 0, RETURN = 1 };

/* The attributes of a probe at an offset of a file, which counts. */
static inline struct perf_event_attr probe_attributes(const char *path, unsigned long offset, enum probe_kind kind)
{
	struct perf_event_attr attr = {.type = uprobe_type(), .size = sizeof attr, .config = kind};
	attr.uprobe_path = (unsigned long)path;
	attr.probe_offset = offset;
	return attr;
}

static inline int perf_open(struct perf_event_attr *attr, int pid, int cpu, int group, unsigned long flags)
{
	return syscall(SYS_perf_event_open, attr, pid, cpu, group, flags);
}

/* Puts a probe on an address of the program's own code, for the calling thread. */
static inline int probe(const void *address, enum probe_kind kind)
{
	struct perf_event_attr attr = probe_attributes("/proc/self/exe", file_offset(address), kind);
	return perf_open(&attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static inline long long count_of(int event)
{
	long long count = -1;
	return read(event, &count, sizeof count) == sizeof count ? count : -1;
}
