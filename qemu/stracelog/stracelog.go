// Package stracelog compares what strace and slowpath strace print about a program. It reads the
// format of strace -f -o.
package stracelog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// line and resumed are lines of strace -f -o.
var (
	line    = regexp.MustCompile(`^(\d+) +(.*)$`)
	resumed = regexp.MustCompile(`^<\.\.\. \S+ resumed>(.*)$`)
)

const unfinished = "<unfinished ...>"

// Threads returns the lines of each thread in the order of its first line, without what
// differs between two runs. Unfinished calls are joined with their ends. It fails for a text
// that is no output of strace.
func Threads(text string) (threads [][]string, err error) {
	index, open := map[string]int{}, map[string]string{}
	for one := range strings.Lines(text) {
		m := line.FindStringSubmatch(strings.TrimSuffix(one, "\n"))
		if m == nil {
			return nil, fmt.Errorf("%q is no line of strace", one)
		}
		id, rest := m[1], m[2]
		if _, known := index[id]; !known {
			index[id] = len(threads)
			threads = append(threads, nil)
		}
		if head, ok := strings.CutSuffix(rest, unfinished); ok && !strings.Contains(rest, "resumed>") {
			open[id] = strings.TrimSuffix(head, " ")
			continue
		}
		if m := resumed.FindStringSubmatch(rest); m != nil {
			rest = open[id] + m[1]
			delete(open, id)
		}
		threads[index[id]] = append(threads[index[id]], normalize(rest))
	}
	for id, head := range open {
		threads[index[id]] = append(threads[index[id]], normalize(head)+unfinished)
	}
	return threads, nil
}

// normalizations replace what differs between two runs: addresses, ids of processes, times,
// sizes of files of the system, and random bytes.
var normalizations = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\b0x[0-9a-f]{6,16}\b`), "ADDRESS"},
	{regexp.MustCompile(`\b(si_pid|l_pid)=\d+`), "$1=PID"},
	{regexp.MustCompile(`parent_tid=\[\d+\]`), "parent_tid=[PID]"},
	{regexp.MustCompile(`^((?:clone|clone3|fork|vfork|wait4|getpid|gettid|getppid|set_tid_address|rt_sigreturn|pidfd_open)\(.*\)) += \d+$`), "$1 = PID"},
	{regexp.MustCompile(`^(kill|tgkill|tkill|wait4|rt_sigqueueinfo|pidfd_open)\(\d+(, \d+)?`), "$1(PID"},
	{regexp.MustCompile(`^waitid\(P_PID, \d+`), "waitid(P_PID, PID"},
	{regexp.MustCompile(`(futex\(ADDRESS, FUTEX_WAIT_BITSET\|FUTEX_CLOCK_REALTIME), \d+`), "$1, PID"},
	{regexp.MustCompile(` +=`), " ="},
	{regexp.MustCompile(`\b(si_utime|si_stime)=\d+( /\* [^*]* \*/)?`), "$1=TIME"},
	{regexp.MustCompile(`^getrandom\("[^"]*"`), `getrandom("RANDOM"`},
	{regexp.MustCompile(`nodename="[^"]*"`), `nodename="NAME"`},
	{regexp.MustCompile(`(S_IFDIR\|[A-Z_|]*0\d+), st_size=\d+`), "$1, st_size=SIZE"},
	{regexp.MustCompile(`S_IFIFO\|0\d+`), "S_IFIFO|MODE"},
	{regexp.MustCompile(`left \{tv_sec=\d+, tv_usec=\d+\}`), "left TIME"},
	{regexp.MustCompile(`u64=\d{10,}`), `u64=ADDRESS`},
	{regexp.MustCompile(`left \{tv_sec=\d+, tv_nsec=\d+\}`), "left TIME"},
	{regexp.MustCompile(`tv_sec=99, tv_usec=\d+`), "TIME"},
	{regexp.MustCompile(`(TIMER_ABSTIME, )\{tv_sec=\d+, tv_nsec=\d+\}`), "$1{TIME}"},
	{regexp.MustCompile(`^(sched_getaffinity\(\d+, \d+, )\[[\d ]*\]`), "$1[CPUS]"},
	{regexp.MustCompile(`"/tmp/(tmp)?[a-z0-9_]{8}"`), `"/tmp/RANDOM"`},
	{regexp.MustCompile(`^sysinfo\(\{.*\}\)`), "sysinfo(MACHINE)"},
}

func normalize(line string) string {
	for _, n := range normalizations {
		line = n.pattern.ReplaceAllString(line, n.with)
	}
	return line
}

// asynchronous reports whether it depends on time where a line is.
func asynchronous(line string) bool {
	return strings.HasPrefix(line, "--- SIGCHLD") || strings.HasPrefix(line, "rt_sigreturn(")
}

// accidental are lines that are not compared. futex(2) is only called if a lock or a thread is
// waited for. The dynamic linker looks into directories for the features of the CPU. An arena
// of malloc(3) is aligned by unmapping what is around it, and how often the heap grows depends
// on its random start; so does the other memory of malloc.
var accidental = regexp.MustCompile(`^futex\(|^brk\(|^mmap\(NULL, \d+, PROT_READ\|PROT_WRITE, MAP_PRIVATE\|MAP_ANONYMOUS, -1, 0\)|/glibc-hwcaps/|^munmap\(ADDRESS, \d{7,}\)`)

// comparable returns the lines that are compared. Lines that are asynchronous come last, in
// the order of their texts.
func comparable(lines []string) (all []string) {
	var late []string
	for _, line := range lines {
		switch {
		case accidental.MatchString(line):
		case asynchronous(line):
			late = append(late, line)
		default:
			all = append(all, line)
		}
	}
	slices.Sort(late)
	return append(all, late...)
}

// maxDifferences is the maximum number of lines that Compare reports of a thread.
const maxDifferences = 10

// Compare returns the differences between the lines of the threads of two runs.
func Compare(got, want [][]string) (differences []error) {
	if len(got) != len(want) {
		return []error{fmt.Errorf("there are %d threads, on Linux %d", len(got), len(want))}
	}
	for i := range want {
		g, w := comparable(got[i]), comparable(want[i])
		shown := 0
		for k := 0; k < max(len(g), len(w)) && shown < maxDifferences; k++ {
			one, other := at(g, k), at(w, k)
			if one != other {
				shown++
				differences = append(differences, fmt.Errorf("thread %d, line %d: got  %.300q\nwant %.300q", i, k+1, one, other))
			}
		}
	}
	return differences
}

// at returns a line, or "" after the last one.
func at(lines []string, i int) string {
	if i >= len(lines) {
		return ""
	}
	return lines[i]
}
