package audit

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/entry"
	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/fs/netlink"
	"slowpath/task"
	"slowpath/task/tasktest"
)

// world is a kernel in which the user mode of its only task is a function.
type world struct {
	*fstest.World
	kernel *task.Kernel
	audit  *Audit

	mu  sync.Mutex
	log []string
}

// run starts a process that executes body on a kernel with audit=1, and waits for its end
// and for the records.
func run(t *testing.T, c Config, body func(w *world, t *task.Task)) *world {
	t.Helper()
	w := &world{World: fstest.New(t, 4096), audit: New(c)}
	w.kernel = task.New(task.Config{
		Memory: w.Memory, NoRandomize: true,
		Log: func(format string, arguments ...any) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.log = append(w.log, fmt.Sprintf(format, arguments...))
		},
		Run: func(tk *task.Task) { body(w, tk); tk.ExitGroup(task.ExitStatus(0)) },
	})
	w.audit.Register(w.kernel, w.Mounts)
	w.kernel.StartReaper()
	tasktest.Spawn(w.World, w.kernel, "two words").AwaitEnd()
	w.settle()
	return w
}

// settle waits until the queue is empty.
func (w *world) settle() {
	w.T.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		w.audit.queue.mu.Lock()
		idle := !w.audit.queue.running
		w.audit.queue.mu.Unlock()
		if idle {
			return
		}
		if time.Now().After(deadline) {
			w.T.Fatal("the queue is never empty")
		}
	}
}

// lines returns the log without the boot's record, and forgets it. Times, serial numbers
// and inode numbers are replaced.
func (w *world) lines() []string {
	w.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	var lines []string
	for _, line := range w.log {
		if !strings.Contains(line, "type=2000") {
			lines = append(lines, normalise(line))
		}
	}
	w.log = nil
	w.audit.print.begin = 0 // the limit of lines starts anew
	return lines
}

var variable = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`audit\(\d+\.\d{3}:\d+\)`), "audit(T:N)"},
	{regexp.MustCompile(`inode=\d+ dev=..:..`), "inode=I dev=D"},
	{regexp.MustCompile(`a0=[0-9a-f]+ a1=[0-9a-f]+ a2=[0-9a-f]+ a3=[0-9a-f]+`), "A"},
}

func normalise(line string) string {
	for _, v := range variable {
		line = v.pattern.ReplaceAllString(line, v.by)
	}
	return line
}

// expect compares the log since the last call with lines.
func (w *world) expect(name string, want ...string) {
	w.T.Helper()
	if got := w.lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		w.T.Errorf("%s: the log is\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// call makes a task go through a system call: body is the call itself.
func (w *world) call(t *task.Task, nr int32, body func() error, arguments ...uint64) {
	w.callOf(t, entry.X86_64, nr, body, arguments...)
}

// callOf is call for an ABI.
func (w *world) callOf(t *task.Task, abi entry.ABI, nr int32, body func() error, arguments ...uint64) {
	c := &entry.Call{NR: nr, ABI: abi}
	copy(c.Args[:], arguments)
	enter(t, c)
	defer exit(t, c)
	t.Frame.RAX = 0
	if err := body(); err != nil {
		t.Frame.RAX = -uint64(err.(unix.Errno))
	}
}

// callFast is call on the fast path. It reports whether the exit of the call is seen.
func (w *world) callFast(t *task.Task, nr int32, body func() error, arguments ...uint64) (seen bool) {
	t.Frame.OrigRAX = uint64(nr)
	copy(t.Frame.Args()[:], arguments)
	seen = watch(t, t.Frame)
	t.Frame.RAX = 0
	if err := body(); err != nil {
		t.Frame.RAX = -uint64(err.(unix.Errno))
	}
	if seen {
		exit(t, &t.Call)
	}
	return seen
}

func nothing() error { return nil }

// socket opens a netlink socket of the task.
func (w *world) socket(t *task.Task) (*netlink.Socket, func()) {
	f, err := netlink.New(w.Mounts, t, unix.SOCK_RAW, unix.NETLINK_AUDIT, 0)
	if err != nil {
		w.T.Fatal(err)
	}
	return netlink.Of(f), f.DecRef
}

// ask sends a message and returns the answers.
func (w *world) ask(t *task.Task, s *netlink.Socket, kind, flags uint16, payload []byte) []netlink.Message {
	w.T.Helper()
	return w.askAll(t, s, netlink.Encode(kind, flags, 7, payload))
}

// askAll sends messages at once and returns the answers.
func (w *world) askAll(t *task.Task, s *netlink.Socket, messages []byte) []netlink.Message {
	w.T.Helper()
	if _, err := s.Send(t, fs.NewBytesSource(messages), nil, fs.SocketCredentials{}); err != nil {
		w.T.Errorf("send of %d bytes: %v", len(messages), err)
	}
	return received(s)
}

// received returns the messages that are in a socket.
func received(s *netlink.Socket) (all []netlink.Message) {
	for {
		sink := fs.NewBytesSink(make([]byte, 9000))
		if _, err := s.Receive(sink, false); err != nil {
			return all
		}
		if m, _, ok := netlink.Next(sink.Bytes()); ok {
			all = append(all, m)
		}
	}
}

// result returns the number in an acknowledgement.
func result(messages []netlink.Message) int32 {
	for _, m := range messages {
		if m.Type == unix.NLMSG_ERROR {
			return int32(binary.LittleEndian.Uint32(m.Payload))
		}
	}
	return -1 << 31
}

// spec is a rule to send.
type spec struct {
	flags, action uint32
	calls         []int
	fields        [][3]uint32 // kind, operator, value
	texts         string
}

// data returns the rule as a struct audit_rule_data.
func (s spec) data() []byte {
	p := make([]byte, ruleSize)
	put := func(at int, value uint32) { binary.LittleEndian.PutUint32(p[at:], value) }
	put(0, s.flags)
	put(4, s.action)
	put(8, uint32(len(s.fields)))
	for _, nr := range s.calls {
		word := maskAt + nr/32*4
		put(word, binary.LittleEndian.Uint32(p[word:])|1<<(nr%32))
	}
	for i, f := range s.fields {
		put(fieldsAt+4*i, f[0])
		put(flagsAt+4*i, f[1])
		put(valuesAt+4*i, f[2])
	}
	put(bufferLenAt, uint32(len(s.texts)))
	return append(p, s.texts...)
}

// keyed returns the fields of a rule with a key.
func keyed(key string, fields ...[3]uint32) [][3]uint32 {
	return append(fields, [3]uint32{unix.AUDIT_FILTERKEY, unix.AUDIT_EQUAL, uint32(len(key))})
}

// exitRule returns a rule of the list "exit" with a key.
func exitRule(key string, calls []int, fields ...[3]uint32) spec {
	return spec{flags: unix.AUDIT_FILTER_EXIT, action: unix.AUDIT_ALWAYS, calls: calls, fields: keyed(key, fields...), texts: key}
}

// add adds a rule and forgets what is logged about it.
func (w *world) add(t *task.Task, s *netlink.Socket, rule spec) {
	w.T.Helper()
	if got := result(w.ask(t, s, unix.AUDIT_ADD_RULE, unix.NLM_F_ACK, rule.data())); got != 0 {
		w.T.Errorf("adding the rule: %d", got)
	}
	w.lines()
}
