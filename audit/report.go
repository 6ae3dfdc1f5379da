package audit

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

// extra is a record that belongs to a call and is written with it.
type extra struct {
	kind uint16
	text string
}

// target is a task to which the call has sent a signal, or which it traces.
type target struct {
	pid, uid, login, session uint32
	comm                     string
}

// report writes the records of the call (Linux: audit_log_exit).
func (x *context) report() {
	x.reportCall()
	for _, one := range x.more {
		x.write(one.kind, one.text)
	}
	if x.executed {
		x.reportArguments()
	}
	if len(x.address) > 0 {
		x.write(unix.AUDIT_SOCKADDR, "saddr="+hexadecimal(string(x.address)))
	}
	for i := len(x.targets) - 1; i >= 1; i-- {
		x.reportTarget(&x.targets[i])
	}
	if len(x.targets) > 0 {
		x.reportTarget(&x.targets[0])
	}
	x.reportNames()
	x.reportTitle()
	x.audit.end(x.begin(unix.AUDIT_EOE))
}

// write writes a record.
func (x *context) write(kind uint16, text string) {
	r := x.begin(kind)
	r.add(text)
	x.audit.end(r)
}

func (x *context) begin(kind uint16) *record { return x.audit.begin(x.task, x, kind) }

func (x *context) reportCall() {
	r := x.begin(unix.AUDIT_SYSCALL)
	if r == nil {
		return
	}
	r.addf("arch=%x syscall=%d", x.call.ABI.AuditArch(), x.call.NR)
	if persona := x.task.Personality(^uint32(0)); persona != 0 {
		r.addf(" per=%x", persona)
	}
	if x.returned != notReturned {
		success := "no"
		if x.returned == succeeded {
			success = "yes"
		}
		r.addf(" success=%s exit=%d", success, x.result)
	}
	a := &x.call.Args
	r.addf(" a0=%x a1=%x a2=%x a3=%x items=%d", a[0], a[1], a[2], a[3], len(x.names))
	x.audit.addTask(r, x.task)
	r.addKey(x.key)
	x.audit.end(r)
}

// capabilities formats a set of capabilities (Linux: audit_log_cap).
func capabilities(name string, set uint64) string {
	if set == 0 {
		return " " + name + "=0"
	}
	return fmt.Sprintf(" %s=%016x", name, set)
}

func (x *context) reportTarget(one *target) {
	r := x.begin(unix.AUDIT_OBJ_PID)
	r.addf("opid=%d oauid=%d ouid=%d oses=%d ocomm=", one.pid, int32(one.login), int32(one.uid), int32(one.session))
	r.untrusted(one.comm)
	x.audit.end(r)
}

// reportNames writes the working directory and the names.
func (x *context) reportNames() {
	if x.directory.Valid() && x.task.FS != nil {
		r := x.begin(unix.AUDIT_CWD)
		r.add("cwd=")
		r.untrusted(x.directoryName())
		x.audit.end(r)
	}
	for i := range x.names {
		x.reportName(i, &x.names[i])
	}
}

func (x *context) directoryName() string {
	return x.task.FS.Mounts().PathName(x.task.FS.Root(), x.directory)
}

func (x *context) reportName(item int, n *nameRecord) {
	r := x.begin(unix.AUDIT_PATH)
	if r == nil {
		return
	}
	r.addf("item=%d name=", item)
	switch {
	case !n.given:
		r.add("(null)")
	case n.length == whole:
		r.untrusted(n.name)
	case n.length == 0:
		r.untrusted(x.directoryName())
	default:
		r.untrusted(n.name[:min(n.length, len(n.name))])
	}
	if n.known {
		f := &n.file
		r.addf(" inode=%d dev=%02x:%02x mode=%#o ouid=%d ogid=%d rdev=%02x:%02x", f.Inode,
			unix.Major(f.Device), unix.Minor(f.Device), uint16(f.Mode), f.UID, f.GID, unix.Major(f.Rdev), unix.Minor(f.Rdev))
	}
	r.addf(" nametype=%s cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0", nameKinds[n.kind])
	x.audit.end(r)
}

// maxTitle is the most of the arguments that PROCTITLE shows, in bytes.
const maxTitle = 128

// reportTitle writes the command line.
func (x *context) reportTitle() {
	r := x.begin(unix.AUDIT_PROCTITLE)
	if r == nil {
		return
	}
	title := x.programArguments(maxTitle)
	for len(title) > 0 && !printable(title[len(title)-1]) {
		title = title[:len(title)-1]
	}
	r.add("proctitle=")
	if len(title) == 0 {
		title = []byte("(null)")
	}
	r.untrusted(string(title))
	x.audit.end(r)
}

// printable is isprint of Linux, whose characters are those of Latin 1.
func printable(c byte) bool { return c >= 0x20 && c < 0x7f || c >= 0xa0 }

// programArguments returns the first bytes of the program's arguments.
func (x *context) programArguments(limit uint64) []byte {
	p := x.task.Program()
	if p == nil || x.task.MM == nil || p.ArgEnd <= p.ArgStart {
		return nil
	}
	text := make([]byte, min(p.ArgEnd-p.ArgStart, limit))
	n, _ := x.task.CopyInSome(text, p.ArgStart)
	return text[:n]
}

// Limits of EXECVE (Linux: audit_log_execve_info).
const (
	maxExecve   = 7500 // bytes of arguments in one record
	fieldExecve = 96   // bytes for the name of a field
)

// reportArguments writes the arguments of a new program. Without the memory for a copy of them,
// the record is lost.
func (x *context) reportArguments() {
	p, memory := x.task.Program(), x.audit.kernel.Memory()
	if p == nil || p.ArgEnd < p.ArgStart {
		return
	}
	maxArguments := p.ArgEnd - p.ArgStart
	const copies = 4 // the text, its parts, and the records in hexadecimal digits
	if err := memory.Reserve(copies * int64(maxArguments)); err != nil {
		x.audit.lose("out of memory for argv string")
		return
	}
	defer memory.Unreserve(copies * int64(maxArguments))
	list := bytes.Split(bytes.TrimSuffix(x.programArguments(maxArguments), []byte{0}), []byte{0})
	w := execveWriter{context: x, r: x.begin(unix.AUDIT_EXECVE), left: maxExecve}
	w.r.addf("argc=%d", len(list))
	for i, argument := range list {
		w.argument(i, string(argument))
	}
	x.audit.end(w.r)
}

// execveWriter distributes arguments over records.
type execveWriter struct {
	context *context
	r       *record
	left    int // bytes of the current record
}

// argument writes one argument. One that does not fit is split, and its length is written
// first.
func (w *execveWriter) argument(index int, text string) {
	encode := special(text) || len(text) >= maxExecve
	full := len(text)
	if encode {
		full *= 2
	}
	split := false
	for part := 0; ; part++ {
		if fieldExecve+8 > w.left {
			w.context.audit.end(w.r)
			w.r, w.left = w.context.begin(unix.AUDIT_EXECVE), maxExecve
		}
		size := len(text) + 2
		if encode {
			size = 2 * len(text)
		}
		split = split || size+fieldExecve > w.left
		name := fmt.Sprintf(" a%d=", index)
		if split {
			name = fmt.Sprintf(" a%d[%d]=", index, part)
			if part == 0 {
				name = fmt.Sprintf(" a%d_len=%d%s", index, full, name)
			}
		}
		w.r.add(name)
		w.left -= len(name)
		text = w.write(text, encode, size)
		if text == "" {
			return
		}
	}
}

// write writes as much of an argument as fits, and returns the rest.
func (w *execveWriter) write(text string, encode bool, size int) string {
	n := len(text)
	if encode {
		if size > w.left {
			n = w.left / 2
		}
		w.r.add(hexadecimal(text[:n]))
		w.left -= 2 * n
		return text[n:]
	}
	if size > w.left {
		n = w.left - 2
	}
	w.r.add(`"` + text[:n] + `"`)
	w.left -= n + 2
	return text[n:]
}
