package probes_test

import (
	_ "embed"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/trace"
	"slowpath/trace/probes"
	"slowpath/trace/tracefs"
	"slowpath/uprobe"
)

// world is a tracefs on /t, with the file /target.
type world struct {
	*fstest.World
	registry *trace.Registry
}

func newWorld(t testing.TB) *world {
	w := &world{World: fstest.New(t, 8192)}
	var err error
	w.registry, err = trace.NewRegistry(trace.Config{CPUs: 2, CPU: func() int { return 0 }, Memory: w.Memory, Release: "6.1"})
	if err != nil {
		t.Fatal(err)
	}
	set := probes.New(uprobe.New(w.Memory), w.registry, w.Memory)
	for _, name := range []string{"/t", "/sys"} {
		if err := w.At(name).MakeDirectory(0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.At("/t").MountAt(tracefs.New(w.registry, w.Memory, set.Rows()...), "tracefs", 0); err != nil {
		t.Fatal(err)
	}
	w.Write("/target", strings.Repeat("x", 5000))
	t.Cleanup(func() { set.RemoveAll() }) // definitions hold files
	return w
}

// write writes a text and a newline to a file of tracefs. With unix.O_APPEND in flags the
// file is not truncated.
func (w *world) write(name, text string, flags int) error {
	f, err := w.At("/t/"+name).Open(unix.O_WRONLY|flags, 0)
	if err != nil {
		return err
	}
	defer f.DecRef()
	text += "\n"
	n, err := f.Write(fs.NewBytesSource([]byte(text)))
	if err == nil && n != len(text) {
		w.T.Errorf("write of %q to %s: %d bytes", text, name, n)
	}
	return err
}

func (w *world) define(text string) error { return w.write("uprobe_events", text, unix.O_APPEND) }

// measured has definitions, in the order in which they were written, with what Linux 6.1
// has answered: the errno, the text in error_log, and the index to which the caret points.
//
//go:embed testdata/definitions.tsv
var measured string

var errnos = map[string]error{"": nil, "EINVAL": unix.EINVAL, "ENOENT": unix.ENOENT, "EEXIST": unix.EEXIST}

var errorLine = regexp.MustCompile(`(?s)^\[ *\d+\.\d{6}\] trace_uprobe: error: (.*)\n  Command: (.*)\n( *)\^\n$`)

func TestDefinitionsAreJudgedAsOnLinux(t *testing.T) {
	w := newWorld(t)
	for _, line := range strings.Split(strings.Trim(measured, "\n"), "\n")[1:] {
		column := strings.Split(line, "\t")
		if err := w.define(column[0]); err != errnos[column[1]] {
			t.Errorf("%q: %v, want %s", column[0], err, column[1])
		}
		text, caret := "", ""
		if log := w.Read("/t/error_log"); log != "" {
			m := errorLine.FindStringSubmatch(log)
			if m == nil {
				t.Errorf("%q: the log is\n%s", column[0], log)
				continue
			}
			text, caret = m[1], strconv.Itoa(len(m[3])-len("  Command: "))
			if want := strings.Join(strings.Fields(column[0]), " "); m[2] != want {
				t.Errorf("the log shows %q for %q", m[2], want)
			}
		}
		if text != column[2] || caret != column[3] {
			t.Errorf("%q: %q at %s, want %q at %s", column[0], text, caret, column[2], column[3])
		}
		w.write("error_log", "", unix.O_TRUNC)
	}
	const list = `p:foo/p_target_0xa /target:0x000000000000000a
r:uprobes/p_target_0xa /target:0x000000000000000a a=$retval
p:uprobes/p_target_0xffffffffff /target:0x000000ffffffffff
p:uprobes/foo /target:0x000000000000000a arg1=@+0
p:uprobes/foo /target:0x000000000000000c arg1=@+0
p:uprobes/foo /target:0x0000000000000010(0x8) arg1=@+0
p:uprobes/a /target:0x0000000000000014
p:uprobes/verylongnameverylongnameverylongnameverylongnameverylongname123 /target:0x000000000000000a
p:uprobes/p_target_0x401 /target:0x0000000000000401 arg1=%ax
p:uprobes/x86 //target:0x0000000000000402 arg1=%ax arg2=%bx
`
	if got := w.Read("/t/uprobe_events"); got != list {
		t.Errorf("uprobe_events:\n%s", got)
	}
}

// formats are definitions with the fields and print formats of Linux 6.1.
const formats = `name: work
format:
	field:unsigned long __probe_ip;	offset:8;	size:8;	signed:0;
	field:s32 a;	offset:16;	size:4;	signed:1;
	field:__data_loc char[] s;	offset:20;	size:4;	signed:1;
	field:s8 c;	offset:24;	size:1;	signed:1;
	field:s16 h;	offset:25;	size:2;	signed:1;
	field:s32 i;	offset:27;	size:4;	signed:1;
	field:s64 l;	offset:31;	size:8;	signed:1;
	field:u64 x;	offset:39;	size:8;	signed:0;
	field:u32 b;	offset:47;	size:4;	signed:0;
	field:s64 n[];	offset:51;	size:32;	signed:1;
	field:__data_loc char[] name;	offset:83;	size:4;	signed:1;
	field:__data_loc char[][3] v;	offset:87;	size:12;	signed:1;
	field:__data_loc char[] comm;	offset:99;	size:4;	signed:1;
	field:u64 st;	offset:103;	size:8;	signed:0;
	field:u64 sp;	offset:111;	size:8;	signed:0;
	field:u32 abs;	offset:119;	size:4;	signed:0;
	field:u64 imm;	offset:123;	size:8;	signed:0;
	field:__data_loc char[] u;	offset:131;	size:4;	signed:1;

print fmt: "(%lx) a=%d s=\"%s\" c=%d h=%d i=%d l=%Ld x=0x%Lx b=%u n={%Ld,%Ld,%Ld,%Ld} name=\"%s\" v={\"%s\",\"%s\",\"%s\"} comm=\"%s\" st=0x%Lx sp=0x%Lx abs=0x%x imm=0x%Lx u=\"%s\"", REC->__probe_ip, REC->a, __get_str(s), REC->c, REC->h, REC->i, REC->l, REC->x, REC->b, REC->n[0], REC->n[1], REC->n[2], REC->n[3], __get_str(name), __get_str(v[0]), __get_str(v[1]), __get_str(v[2]), __get_str(comm), REC->st, REC->sp, REC->abs, REC->imm, __get_str(u)
`

const workDefinition = `p:work /target:0x16c0 a=%di:s32 s=+0(%si):string c=+0(%dx):s8 h=+2(%dx):s16 i=+4(%dx):s32 l=+8(%dx):s64 x=+8(%dx):x64 b=+16(%dx):b4@8/32 n=+0(%cx):s64[4] name=+0(+24(%dx)):string v=+0(%r8):string[3] comm=$comm st=$stack0 sp=$stack:x64 abs=@0x00000000004a50e0:x32 imm=\17 u=+u0(%si):ustring`

// common removes the lines of a file format that all events have, and the id.
var common = regexp.MustCompile(`(?m)^ID: .*\n|^\tfield:.* common_.*\n(\n)?`)

func TestFormatIsThatOfLinux(t *testing.T) {
	w := newWorld(t)
	if err := w.define(workDefinition); err != nil {
		t.Fatal(err)
	}
	if got := common.ReplaceAllString(w.Read("/t/events/uprobes/work/format"), ""); got != formats {
		t.Errorf("format:\n%s", got)
	}
	if got := w.Read("/t/uprobe_events"); got != strings.Replace(strings.Replace(workDefinition, "p:work", "p:uprobes/work", 1), "0x16c0", "0x00000000000016c0", 1)+"\n" {
		t.Errorf("uprobe_events:\n%s", got)
	}
	if err := w.define("r:back /target:0x16c0 ret=$retval:s32"); err != nil {
		t.Fatal(err)
	}
	const back = "name: back\nformat:\n\tfield:unsigned long __probe_func;\toffset:8;\tsize:8;\tsigned:0;\n" +
		"\tfield:unsigned long __probe_ret_ip;\toffset:16;\tsize:8;\tsigned:0;\n\tfield:s32 ret;\toffset:24;\tsize:4;\tsigned:1;\n\n" +
		"print fmt: \"(%lx <- %lx) ret=%d\", REC->__probe_func, REC->__probe_ret_ip, REC->ret\n"
	if got := common.ReplaceAllString(w.Read("/t/events/uprobes/back/format"), ""); got != back {
		t.Errorf("format:\n%s", got)
	}
}

func TestDefinitionsAreRemovedByNameAndPlace(t *testing.T) {
	w := newWorld(t)
	for _, d := range []string{"p:a /target:1", "p:a /target:2", "p:b /target:1", "p:g/a /target:1", "p:b2 /target:1 %ax\np:b3 /target:1"} {
		if err := w.define(d); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
	}
	for _, c := range []struct {
		text string
		want error
		left string
	}{
		{"-:nosuch", unix.ENOENT, "a a b a b2 b3"},
		{"-:uprobes/a /target:0x0000000000000002", nil, "a b a b2 b3"},
		{"-:b2 /target:0x0000000000000001 arg1=%bx", unix.ENOENT, "a b a b2 b3"},
		{"-:b2 /target:0x0000000000000001 arg1=%ax", nil, "a b a b3"},
		{"-:a", nil, "b b3"},
		{"-:uprobes/", nil, ""},
	} {
		if err := w.define(c.text); err != c.want {
			t.Errorf("%s: %v, want %v", c.text, err, c.want)
		}
		var names []string
		for line := range strings.Lines(w.Read("/t/uprobe_events")) {
			_, name, _ := strings.Cut(strings.Fields(line)[0], "/")
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != c.left {
			t.Errorf("after %s: %s, want %s", c.text, got, c.left)
		}
	}
	if _, err := w.At("/t/events/uprobes").Lookup(); err != unix.ENOENT {
		t.Errorf("events/uprobes: %v", err)
	}
}

func TestEventInUseIsNotRemoved(t *testing.T) {
	w := newWorld(t)
	if err := w.define("p:a /target:1"); err != nil {
		t.Fatal(err)
	}
	sink := &trace.Sink{}
	e := w.registry.Lookup("uprobes", "a")
	if err := w.write("events/uprobes/a/trigger", "traceoff", 0); err != nil {
		t.Fatal(err)
	}
	if err := w.define("-:a"); err != unix.EBUSY {
		t.Errorf("removal of an event with a trigger: %v", err)
	}
	if err := w.write("uprobe_events", "", unix.O_TRUNC); err != unix.EBUSY {
		t.Errorf("truncation with an event that has a trigger: %v", err)
	}
	if err := w.write("events/uprobes/a/trigger", "!traceoff", 0); err != nil {
		t.Error(err)
	}
	if err := e.Subscribe(sink); err != nil {
		t.Error(err)
	}
	if err := w.define("-:a"); err != unix.EBUSY {
		t.Errorf("removal of an event with a sink: %v", err)
	}
	e.Unsubscribe(sink)
	if err := w.write("uprobe_events", "", unix.O_TRUNC); err != nil || w.Read("/t/uprobe_events") != "" {
		t.Errorf("truncation: %v", err)
	}
}

// FuzzDefinition: no text may panic. What is accepted must be listed, and can be removed.
func FuzzDefinition(f *testing.F) {
	for _, line := range strings.Split(measured, "\n") {
		definition, _, _ := strings.Cut(line, "\t")
		f.Add(definition)
	}
	f.Add(workDefinition)
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, definition string) {
		w.T = t
		err := w.define(definition)
		for _, line := range strings.Split(w.Read("/t/uprobe_events"), "\n") {
			if line == "" {
				continue
			}
			_, name, _ := strings.Cut(strings.Fields(line)[0], ":")
			w.Read("/t/events/" + name + "/format")
			if err := w.define(strings.Replace(line, "p:"+name, "p:other", 1)); err != nil && strings.HasPrefix(line, "p") && !strings.Contains(line, "#") {
				t.Errorf("%q is listed as %q, which is refused: %v", definition, line, err)
			}
		}
		if _, ok := err.(unix.Errno); err != nil && !ok {
			t.Errorf("%q: the error %v is no errno", definition, err)
		}
		if err := w.write("uprobe_events", "", unix.O_TRUNC); err != nil {
			t.Error(err)
		}
		w.write("error_log", "", unix.O_TRUNC)
	})
}
