// Fuzzer executes random programs of system calls as an unprivileged user, and counts
// what they leave behind. It is for a machine that it may break: it kills all
// processes of user 1000.
//
//	fuzzer -seconds 60 -seed 1
//
// Each round has a seed, which is printed before the round starts. To repeat a
// round, use its seed and -rounds 1.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/fuzz/program"
)

// user is the user and group of the workers.
const user = 1000

var (
	seconds = flag.Int("seconds", 10, "how long to run")
	rounds  = flag.Int("rounds", 1<<30, "the maximum number of rounds")
	seed    = flag.Uint64("seed", 1, "the seed of the first round")
	workers = flag.Int("workers", 6, "the number of worker processes")
	round   = flag.Duration("round", 700*time.Millisecond, "the length of a round")
	quiet   = flag.Bool("quiet", false, "do not print each round")
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "worker" {
		n, _ := strconv.ParseUint(os.Args[2], 10, 64)
		work(n)
	}
	if os.Getpid() == 1 || os.Getuid() != 0 || strings.HasPrefix(os.Args[0], program.Executable) {
		os.Exit(0) // a program has executed this file
	}
	flag.Parse()
	if err := supervise(); err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(1)
	}
}

// supervise runs the rounds and compares what is in use after the first rounds and
// at the end.
func supervise() error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	if err := os.WriteFile(program.Executable, self, 0o755); err != nil {
		return err
	}
	const warmUp = 3
	var before usage
	calls, n := 0, 0
	for start := time.Now(); n < *rounds && time.Since(start) < time.Duration(*seconds)*time.Second; n++ {
		s := *seed + uint64(n)
		if !*quiet {
			fmt.Printf("seed %d, %d calls\n", s, calls)
		}
		made, err := runRound(s)
		if err != nil {
			return fmt.Errorf("seed %d: %w", s, err)
		}
		calls += made
		if n == warmUp {
			before = measure()
		}
	}
	after := measure()
	fmt.Printf("%d rounds made %d calls\n", n, calls)
	if n <= warmUp {
		return nil
	}
	fmt.Printf("after %d rounds: %+v\nat the end: %+v\n", warmUp+1, before, after)
	return after.leaked(before)
}

// scratch is the directory of the programs of a round, a file system of its own.
const scratch = "/tmp/fuzz"

// runRound runs workers with new programs for some time, kills everything that they
// have left, and returns the number of system calls.
func runRound(s uint64) (calls int, err error) {
	os.Mkdir(scratch, 0o777)
	if err := unix.Mount("none", scratch, "tmpfs", 0, "size=32m,mode=1777"); err != nil {
		return 0, fmt.Errorf("mount: %w", err)
	}
	counts := make(chan int)
	for w := range *workers {
		command, output, err := startWorker(s*1000 + uint64(w))
		if err != nil {
			return 0, err
		}
		go func() {
			last := 0
			for lines := bufio.NewScanner(output); lines.Scan(); {
				last, _ = strconv.Atoi(lines.Text())
			}
			output.Close()
			command.Wait()
			counts <- last
		}()
	}
	done := make(chan struct{})
	go killAfter(*round, done)
	for range *workers {
		calls += <-counts
	}
	close(done)
	if err := awaitEnd(); err != nil {
		return calls, err
	}
	return calls, unix.Unmount(scratch, unix.MNT_DETACH)
}

// startWorker starts a worker, which writes its number of calls to output.
func startWorker(s uint64) (*exec.Cmd, *os.File, error) {
	output, input, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer input.Close()
	c := exec.Command("/proc/self/exe", "worker", fmt.Sprint(s))
	c.Dir = scratch
	c.ExtraFiles = []*os.File{input}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}, Setsid: true}
	return c, output, c.Start()
}

// killUser kills the user's processes that it finds. Root does it, because a process of
// the user could be killed or stopped by the programs. New processes may be left.
func killUser() {
	for _, p := range processes() {
		unix.Kill(p.pid, unix.SIGKILL)
	}
}

// killAfter kills the user's processes again and again from the end of the round on,
// until done is closed.
func killAfter(d time.Duration, done <-chan struct{}) {
	select {
	case <-time.After(d):
	case <-done:
	}
	for {
		select {
		case <-done:
			return
		case <-time.After(20 * time.Millisecond):
			killUser()
		}
	}
}

// awaitEnd kills the user's processes until none is left.
func awaitEnd() error {
	const patience = 20 * time.Second
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		killUser()
		left := processes()
		if len(left) == 0 {
			return nil
		}
		if time.Since(start) > patience {
			stacks, _ := os.ReadFile("/proc/slowpath/stacks")
			return fmt.Errorf("processes do not exit after SIGKILL: %v\n%s", left, stacks)
		}
	}
}

// process is the id and the state of a process (proc(5), /proc/PID/status).
type process struct {
	pid   int
	state string
}

// processes returns the user's processes.
func processes() (left []process) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		status, err := os.ReadFile("/proc/" + e.Name() + "/status")
		if err != nil || !strings.Contains(string(status), "\nUid:\t"+strconv.Itoa(user)) {
			continue
		}
		_, state, _ := strings.Cut(string(status), "State:\t")
		pid, _ := strconv.Atoi(e.Name())
		left = append(left, process{pid, state[:1]})
	}
	return left
}

// usage is what the programs may leak.
type usage struct{ FreeKiB, Processes, Goroutines, Files int }

// measure returns what is in use.
func measure() usage {
	time.Sleep(200 * time.Millisecond) // for goroutines that are about to end
	u := usage{FreeKiB: field("/proc/meminfo", "MemFree:"), Processes: -1}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil {
			u.Processes++
		}
	}
	stacks, _ := os.ReadFile("/proc/slowpath/stacks")
	u.Goroutines = strings.Count(string(stacks), "\ngoroutine ")
	text, _ := os.ReadFile("/proc/sys/fs/file-nr")
	if words := strings.Fields(string(text)); len(words) > 0 {
		u.Files, _ = strconv.Atoi(words[0])
	}
	return u
}

// field returns the number behind a name in a file.
func field(file, name string) int {
	text, _ := os.ReadFile(file)
	_, rest, _ := strings.Cut(string(text), name)
	if words := strings.Fields(rest); len(words) > 0 {
		n, _ := strconv.Atoi(words[0])
		return n
	}
	return 0
}

// leaked returns an error if more is in use than before. The kernel's heap may have
// grown by some MiB.
func (u usage) leaked(before usage) error {
	const heap, few = 24 << 10, 12
	switch {
	case u.FreeKiB < before.FreeKiB-heap:
		return fmt.Errorf("%d KiB of memory are lost", before.FreeKiB-u.FreeKiB)
	case u.Processes > before.Processes:
		return fmt.Errorf("%d processes are left", u.Processes-before.Processes)
	case u.Goroutines > before.Goroutines+few:
		return fmt.Errorf("%d goroutines of the kernel are left", u.Goroutines-before.Goroutines)
	case u.Files > before.Files+few:
		return fmt.Errorf("%d open files are left", u.Files-before.Files)
	}
	return nil
}

// work is a worker: it runs programs until it is killed.
func work(s uint64) {
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGPIPE, unix.SIGALRM)
	limit := unix.Rlimit{Cur: 60, Max: 60}
	unix.Setrlimit(unix.RLIMIT_NPROC, &limit)
	report := os.NewFile(3, "report")
	m, err := newMemory()
	if err != nil {
		os.Exit(1)
	}
	r := rand.New(rand.NewPCG(s, 2))
	for total := 0; ; {
		p := program.Decode(program.Random(r, program.Shape{Routines: 1 + r.IntN(8), Instructions: 5 + r.IntN(60)}))
		h := m.load(p, r)
		await(forkRun(codeBase))
		total += int(h.calls)
		fmt.Fprintln(report, total)
	}
}

// await waits for the end of a program, and kills its process group after a short
// time.
func await(pid int) {
	if pid <= 0 {
		time.Sleep(time.Millisecond) // too many processes
		return
	}
	for range 40 {
		if got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); got == pid || err == unix.ECHILD {
			break
		}
		time.Sleep(500 * time.Microsecond)
	}
	unix.Kill(-pid, unix.SIGKILL)
	unix.Kill(pid, unix.SIGKILL)
	unix.Wait4(pid, nil, 0, nil)
}
