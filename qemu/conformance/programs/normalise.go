package programs

import (
	"fmt"
	"regexp"
	"strings"
)

// volatile are the parts of an output that differ from run to run: addresses, times,
// process ids, and what depends on the machine. Each is replaced by a word.
var volatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\r`), ""},
	{regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]`), ""},
	{regexp.MustCompile(`getrandom\("[^"]*"`), "getrandom(BYTES"},
	{regexp.MustCompile(`\bset_tid_address\((.*)\) +=.*`), "set_tid_address($1) = PID"},
	{regexp.MustCompile(`\b(pipe|socket|anon_inode):\[[0-9]+\]`), "$1:[N]"},
	{regexp.MustCompile(`\b([Gg]oroutine)[( ]+[0-9]+\)?`), "$1 N"},
	// An address of a static program's code is the same everywhere.
	{regexp.MustCompile(`0x([0-35-9a-f][0-9a-f]{5}|[0-9a-f]{7,16})\b`), "ADDR"},
	{regexp.MustCompile(`\b(tgkill|tkill|kill|process_vm_readv)\([0-9]+(, [0-9]+)?`), "$1(PID"},
	{regexp.MustCompile(` +=`), " ="},
	{regexp.MustCompile(`\[ *(ADDR|\?{16})\]`), "[ADDR]"},
	{regexp.MustCompile(`\b[0-9a-f]{12,16}\b`), "ADDR"},
	{regexp.MustCompile(`\b[0-9]+\.[0-9]{6}\b`), "TIME"},
	{regexp.MustCompile(`\b[0-9]{2}:[0-9]{2}:[0-9]{2}\b`), "TIME"},
	{regexp.MustCompile(`si_(u|s)time=[0-9]+( /\*[^*]*\*/)?`), "si_${1}time=N"},
	{regexp.MustCompile(`; pid = [0-9]+`), "; pid = PID"},
	{regexp.MustCompile(`==[0-9]+==`), "==PID=="},
	{regexp.MustCompile(`\b(process|LWP|Process|pid|Thread|thread|PID|inferior|si_pid=|si_uid=|gettid\(\) +=|getpid\(\) +=|SID|tid) *[0-9]+\b`), "$1 PID"},
	{regexp.MustCompile(`(Thread PID)\.[0-9]+`), "$1.N"},
	{regexp.MustCompile(`\[pid +[0-9]+\]`), "[pid PID]"},
	// gdb removes a leader that it finds as a zombie before the exits of the other
	// threads, and adds it again for its own exit. When a whole process exits, on Linux
	// too, the order in which gdb sees the exits is open (check_zombie_leaders in gdb's
	// linux-nat.c).
	{regexp.MustCompile(`(?m)^\[New process PID\]\n`), ""},
	{regexp.MustCompile(`(st_ino|st_dev|st_mtime|st_ctime|st_atime|st_blksize|st_blocks)=[^,}]*`), "$1=N"},
}

// Normalise replaces what differs from run to run, and removes spaces at the ends of
// lines.
func Normalise(output string) string {
	for _, v := range volatile {
		output = v.pattern.ReplaceAllString(output, v.with)
	}
	var lines []string
	for line := range strings.Lines(output) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n") + "\n"
}

// Compare returns where two outputs differ after Normalise, or nothing. The lines of
// Linux begin with a minus sign, those of Slowpath with a plus sign.
func Compare(linux, slowpath string) string {
	a, b := strings.Split(Normalise(linux), "\n"), strings.Split(Normalise(slowpath), "\n")
	// The longest common subsequence; outputs have at most some thousand lines.
	const limit = 3000
	a, b = a[:min(len(a), limit)], b[:min(len(b), limit)]
	lengths := make([][]int, len(a)+1)
	for i := range lengths {
		lengths[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				lengths[i][j] = lengths[i+1][j+1] + 1
			} else {
				lengths[i][j] = max(lengths[i+1][j], lengths[i][j+1])
			}
		}
	}
	var out strings.Builder
	if len(a) == limit || len(b) == limit {
		fmt.Fprintf(&out, "The outputs are longer than %d lines.\n", limit)
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && lengths[i+1][j] >= lengths[i][j+1]:
			fmt.Fprintf(&out, "-%s\n", a[i])
			i++
		default:
			fmt.Fprintf(&out, "+%s\n", b[j])
			j++
		}
	}
	return out.String()
}
