package audit

import (
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/cred"
	"slowpath/entry"
	"slowpath/fs"
	"slowpath/fs/netlink"
	"slowpath/fs/tmpfs"
	"slowpath/task"
)

// taskText is what records of the test's task have of it.
const taskText = " ppid=1 pid=2 auid=4294967295 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=4294967295" +
	` comm="program" exe="/program"`

// title is the command line of the task: it has a NUL and a blank.
const title = "proctitle=2F70726F6772616D0074776F20776F726473"

func TestCallThatARuleNamesIsRecorded(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		w.add(tk, s, exitRule("mine", []int{unix.SYS_GETPPID}))
		w.call(tk, unix.SYS_GETPID, nothing)
		w.call(tk, unix.SYS_GETPPID, func() error { return unix.EPERM }, 1, 0x22, 3, 4)
		w.expect("a call with a rule",
			"audit: type=1300 audit(T:N): arch=c000003e syscall=110 success=no exit=-1 A items=0"+taskText+` key="mine"`,
			"audit: type=1327 audit(T:N): "+title)
	})
}

func TestFieldsSelectCalls(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		for _, c := range []struct {
			name    string
			field   [3]uint32
			matches bool
		}{
			{"uid=0", [3]uint32{unix.AUDIT_UID, unix.AUDIT_EQUAL, 0}, true},
			{"uid=1", [3]uint32{unix.AUDIT_UID, unix.AUDIT_EQUAL, 1}, false},
			{"uid!=1", [3]uint32{unix.AUDIT_UID, unix.AUDIT_NOT_EQUAL, 1}, true},
			{"euid<1", [3]uint32{unix.AUDIT_EUID, unix.AUDIT_LESS_THAN, 1}, true},
			{"gid>=1", [3]uint32{unix.AUDIT_GID, unix.AUDIT_GREATER_THAN_OR_EQUAL, 1}, false},
			{"pid=2", [3]uint32{unix.AUDIT_PID, unix.AUDIT_EQUAL, 2}, true},
			{"pid=1", [3]uint32{unix.AUDIT_PID, unix.AUDIT_EQUAL, 1}, false},
			{"ppid=1", [3]uint32{unix.AUDIT_PPID, unix.AUDIT_EQUAL, 1}, true},
			{"arch=b64", [3]uint32{unix.AUDIT_ARCH, unix.AUDIT_EQUAL, unix.AUDIT_ARCH_X86_64}, true},
			{"arch=b32", [3]uint32{unix.AUDIT_ARCH, unix.AUDIT_EQUAL, unix.AUDIT_ARCH_I386}, false},
			{"a0=5", [3]uint32{unix.AUDIT_ARG0, unix.AUDIT_EQUAL, 5}, true},
			{"a1&6", [3]uint32{unix.AUDIT_ARG1, unix.AUDIT_BIT_MASK, 6}, true},
			{"a1&=6", [3]uint32{unix.AUDIT_ARG1, unix.AUDIT_BIT_TEST, 6}, false},
			{"exit=-EACCES", [3]uint32{unix.AUDIT_EXIT, unix.AUDIT_EQUAL, 0xfffffff3}, true},
			{"success=1", [3]uint32{unix.AUDIT_SUCCESS, unix.AUDIT_EQUAL, 1}, false},
			{"success=0", [3]uint32{unix.AUDIT_SUCCESS, unix.AUDIT_EQUAL, 0}, true},
			{"auid=-1", [3]uint32{unix.AUDIT_LOGINUID, unix.AUDIT_EQUAL, unset}, true},
			{"auid=0", [3]uint32{unix.AUDIT_LOGINUID, unix.AUDIT_EQUAL, 0}, false},
			{"sessionid=-1", [3]uint32{unix.AUDIT_SESSIONID, unix.AUDIT_EQUAL, unset}, true},
			{"uid=euid", [3]uint32{unix.AUDIT_FIELD_COMPARE, unix.AUDIT_EQUAL, unix.AUDIT_COMPARE_UID_TO_EUID}, true},
			{"auid=euid", [3]uint32{unix.AUDIT_FIELD_COMPARE, unix.AUDIT_EQUAL, unix.AUDIT_COMPARE_AUID_TO_EUID}, false},
		} {
			rule := exitRule("k", []int{unix.SYS_GETPPID}, c.field)
			w.add(tk, s, rule)
			w.call(tk, unix.SYS_GETPPID, func() error { return unix.EACCES }, 5, 0x12)
			if got := len(w.lines()) > 0; got != c.matches {
				t.Errorf("%s: the call is recorded: %v, want %v", c.name, got, c.matches)
			}
			w.ask(tk, s, unix.AUDIT_DEL_RULE, 0, rule.data())
			w.lines()
		}
	})
}

func TestNamesOfACallAreRecorded(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		w.Write("/file", "")
		w.add(tk, s, exitRule("k", []int{unix.SYS_OPEN, unix.SYS_MKDIR, unix.SYS_UNLINK, unix.SYS_RENAME}))
		at := func(name string) fs.At {
			tk.NameWatcher().Named(uint64(len(name)), name)
			return fs.At{Caller: tk, Name: name, Follow: true}
		}
		const fcaps = " cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0"
		const directory = " inode=I dev=D mode=040755 ouid=0 ogid=0 rdev=00:00 nametype="
		path := func(item, name, file, kind string) string {
			return "audit: type=1302 audit(T:N): item=" + item + " name=" + name + strings.Replace(file, "nametype=", "nametype="+kind, 1) + fcaps
		}
		file := strings.Replace(directory, "040755", "0100644", 1)
		w.Write("/file", "")
		expect := func(name string, want ...string) {
			t.Helper()
			var got []string
			for _, line := range w.lines() {
				if strings.Contains(line, "type=1302") || strings.Contains(line, "type=1307") {
					got = append(got, line)
				}
			}
			if g, want := strings.Join(got, "\n"), strings.Join(want, "\n"); g != want {
				t.Errorf("%s: got\n%s\nwant\n%s", name, g, want)
			}
		}
		cwd := `audit: type=1307 audit(T:N): cwd="/"`
		open := func(name string, flags int) func() error {
			return func() error {
				f, err := at(name).Open(flags, 0o644)
				if err == nil {
					f.DecRef()
				}
				return err
			}
		}
		w.call(tk, unix.SYS_OPEN, open("/file", unix.O_RDONLY))
		expect("open", cwd, path("0", `"/file"`, file, "NORMAL"))
		w.call(tk, unix.SYS_OPEN, open("/missing", unix.O_RDONLY))
		expect("open of a missing file", cwd, "audit: type=1302 audit(T:N): item=0 name=\"/missing\" nametype=UNKNOWN"+fcaps)
		w.call(tk, unix.SYS_OPEN, open("/new", unix.O_WRONLY|unix.O_CREAT))
		expect("open with O_CREAT", cwd, path("0", `"/"`, directory, "PARENT"), path("1", `"/new"`, file, "CREATE"))
		w.call(tk, unix.SYS_MKDIR, func() error { return at("d").MakeDirectory(0o755) })
		expect("mkdir of a relative name", cwd, path("0", `"/"`, directory, "PARENT"), path("1", `"d"`, directory, "CREATE"))
		w.call(tk, unix.SYS_RENAME, func() error { return at("/new").RenameTo(at("/d/moved"), 0) })
		expect("rename", cwd, path("0", `"/"`, directory, "PARENT"), path("1", `"/d/"`, directory, "PARENT"),
			path("2", `"/new"`, file, "DELETE"), path("3", `"/d/moved"`, file, "CREATE"))
		w.call(tk, unix.SYS_UNLINK, func() error { return at("/d/moved").Unlink() })
		expect("unlink", cwd, path("0", `"/d/"`, directory, "PARENT"), path("1", `"/d/moved"`, file, "DELETE"))
	})
}

func TestRulesAboutFilesSelectCalls(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		fs.At{Caller: tk, Name: "/d"}.MakeDirectory(0o755)
		w.Write("/d/file", "")
		w.Write("/other", "")
		calls := []int{unix.SYS_OPEN, unix.SYS_UNLINK}
		for _, c := range []struct {
			name    string
			kind    uint32
			path    string
			perm    uint32
			opened  string
			flags   int
			matches bool
		}{
			{"path= of the file", unix.AUDIT_WATCH, "/d/file", 0, "/d/file", unix.O_RDONLY, true},
			{"path= of another file", unix.AUDIT_WATCH, "/d/file", 0, "/other", unix.O_RDONLY, false},
			{"dir= above the file", unix.AUDIT_DIR, "/d", 0, "/d/file", unix.O_RDONLY, true},
			{"dir= beside the file", unix.AUDIT_DIR, "/d", 0, "/other", unix.O_RDONLY, false},
			{"perm=w of a read", unix.AUDIT_WATCH, "/d/file", unix.AUDIT_PERM_WRITE, "/d/file", unix.O_RDONLY, false},
			{"perm=w of a write", unix.AUDIT_WATCH, "/d/file", unix.AUDIT_PERM_WRITE, "/d/file", unix.O_WRONLY, true},
		} {
			fields := [][3]uint32{{c.kind, unix.AUDIT_EQUAL, uint32(len(c.path))}}
			if c.perm != 0 {
				fields = append(fields, [3]uint32{unix.AUDIT_PERM, unix.AUDIT_EQUAL, c.perm})
			}
			rule := spec{flags: unix.AUDIT_FILTER_EXIT, action: unix.AUDIT_ALWAYS, calls: calls, fields: fields, texts: c.path}
			w.add(tk, s, rule)
			w.call(tk, unix.SYS_OPEN, func() error {
				f, err := fs.At{Caller: tk, Name: c.opened, Follow: true}.Open(c.flags, 0)
				if err == nil {
					f.DecRef()
				}
				return err
			}, 0, uint64(c.flags))
			if got := len(w.lines()) > 0; got != c.matches {
				t.Errorf("%s: the call is recorded: %v, want %v", c.name, got, c.matches)
			}
			w.ask(tk, s, unix.AUDIT_DEL_RULE, 0, rule.data())
			w.lines()
		}
		w.add(tk, s, spec{flags: unix.AUDIT_FILTER_EXIT, action: unix.AUDIT_ALWAYS, calls: calls, texts: "/d/file",
			fields: [][3]uint32{{unix.AUDIT_WATCH, unix.AUDIT_EQUAL, 7}}})
		w.call(tk, unix.SYS_UNLINK, func() error { return fs.At{Caller: tk, Name: "/d/file"}.Unlink() })
		if len(w.lines()) == 0 {
			t.Error("the removal of a watched file is not recorded")
		}
	})
}

func TestStatusIsSetAndShown(t *testing.T) {
	run(t, Config{}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		status := func() (got auditStatus) {
			for _, m := range w.ask(tk, s, unix.AUDIT_GET, 0, nil) {
				if m.Type == unix.AUDIT_GET {
					copy(abi.Bytes(&got), m.Payload)
				}
			}
			return got
		}
		set := func(next auditStatus) int32 {
			return result(w.ask(tk, s, unix.AUDIT_SET, unix.NLM_F_ACK, abi.Bytes(&next)))
		}
		w.settle()
		want := auditStatus{Failure: 1, BacklogLimit: 64, Features: 0x7f, WaitTime: 15000}
		if got := status(); got != want {
			t.Errorf("the status at boot is %+v, want %+v", got, want)
		}
		const all = unix.AUDIT_STATUS_ENABLED | unix.AUDIT_STATUS_FAILURE | unix.AUDIT_STATUS_RATE_LIMIT | unix.AUDIT_STATUS_BACKLOG_LIMIT
		if got := set(auditStatus{Mask: all, Enabled: 1, Failure: 0, RateLimit: 1000, BacklogLimit: 100}); got != 0 {
			t.Errorf("setting the status: %d", got)
		}
		w.settle()
		want = auditStatus{Enabled: 1, RateLimit: 1000, BacklogLimit: 100, Features: 0x7f, WaitTime: 15000}
		if got := status(); got != want {
			t.Errorf("the status is %+v, want %+v", got, want)
		}
		if got := set(auditStatus{Mask: unix.AUDIT_STATUS_ENABLED, Enabled: 3}); got != -int32(unix.EINVAL) {
			t.Errorf("enabled=3: %d", got)
		}
		w.lines()
		set(auditStatus{Mask: unix.AUDIT_STATUS_ENABLED, Enabled: 2})
		w.expect("locking", "audit: type=1305 audit(T:N): op=set audit_enabled=2 old=1 auid=4294967295 ses=4294967295 res=1")
		if got := set(auditStatus{Mask: unix.AUDIT_STATUS_ENABLED, Enabled: 0}); got != -int32(unix.EPERM) {
			t.Errorf("disabling a locked audit: %d, want EPERM", got)
		}
		if got := result(w.ask(tk, s, unix.AUDIT_ADD_RULE, unix.NLM_F_ACK, exitRule("k", []int{1}).data())); got != -int32(unix.EPERM) {
			t.Errorf("adding a rule to a locked audit: %d, want EPERM", got)
		}
	})
}

func TestAuditNeedsItsCapabilities(t *testing.T) {
	run(t, Config{}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		tk.ChangeCredentials(func(next *cred.Credentials) error { next.Effective = 0; return nil })
		for _, kind := range []uint16{unix.AUDIT_GET, unix.AUDIT_SET, unix.AUDIT_ADD_RULE, unix.AUDIT_LIST_RULES, unix.AUDIT_FIRST_USER_MSG} {
			if got := result(w.ask(tk, s, kind, 0, nil)); got != -int32(unix.EPERM) {
				t.Errorf("message %d: %d, want EPERM", kind, got)
			}
		}
		reader, closed := w.socket(tk)
		defer closed()
		if err := reader.Bind(tk, netlink.Address{Groups: 1}); err != unix.EPERM {
			t.Errorf("joining the group: %v, want EPERM", err)
		}
	})
}

func TestDaemonGetsRecords(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		next := auditStatus{Mask: unix.AUDIT_STATUS_PID, PID: uint32(tk.PID())}
		w.lines()
		// The records may arrive before the acknowledgement is read.
		if _, err := s.Send(tk, fs.NewBytesSource(netlink.Encode(unix.AUDIT_SET, unix.NLM_F_ACK, 7, abi.Bytes(&next))), nil, fs.SocketCredentials{}); err != nil {
			t.Errorf("registering: %v", err)
		}
		texts := func() (all []string) {
			w.settle()
			for {
				sink := fs.NewBytesSink(make([]byte, 9000))
				if _, err := s.Receive(sink, false); err != nil {
					return all
				}
				p := sink.Bytes()
				if binary.LittleEndian.Uint16(p[4:]) == unix.NLMSG_ERROR {
					if errno := binary.LittleEndian.Uint32(p[netlink.HeaderSize:]); errno != 0 {
						t.Errorf("registering: %d", int32(errno))
					}
					continue
				}
				if got, want := int(binary.LittleEndian.Uint32(p)), len(p)-netlink.HeaderSize; got != want {
					t.Errorf("the length in the header is %d, want that of the text, %d", got, want)
				}
				all = append(all, normalise(string(p[netlink.HeaderSize:])))
			}
		}
		got := strings.Join(texts(), "\n")
		if !strings.Contains(got, "op=set audit_pid=2 old=0") {
			t.Errorf("the daemon got %q, want the record of its registration", got)
		}
		w.ask(tk, s, unix.AUDIT_FIRST_USER_MSG, 0, []byte("hello\x00"))
		w.settle()
		closed()
		w.audit.SetLoginUID(tk, 5) // a message would need a socket, which may get the port of the daemon's
		if got := strings.Join(w.lines(), "\n"); !strings.Contains(got, "type=1006 ") {
			t.Errorf("after the daemon has gone, the log is %q", got)
		}
		if w.audit.daemonPID() != 0 {
			t.Error("a daemon that has closed its socket is still registered")
		}
		closed = func() {}
	})
}

// ask2 sends a message by a socket of its own.
func (w *world) ask2(t *task.Task, kind uint16, text string) {
	s, closed := w.socket(t)
	defer closed()
	w.ask(t, s, kind, 0, []byte(text))
}

func TestGroupGetsRecords(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		reader, closed := w.socket(tk)
		defer closed()
		if err := reader.Bind(tk, netlink.Address{Groups: 1}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		received(reader)
		w.ask2(tk, unix.AUDIT_FIRST_USER_MSG, "hello\x00")
		w.settle()
		all := received(reader)
		if len(all) != 1 || all[0].Type != unix.AUDIT_FIRST_USER_MSG ||
			normalise(string(all[0].Payload)) != "audit(T:N): pid=2 uid=0 auid=4294967295 ses=4294967295 msg='hello'" {
			t.Errorf("the reader got %+v", all)
		}
	})
}

func TestExcludedRecordsAreNotWritten(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		w.add(tk, s, spec{flags: unix.AUDIT_FILTER_EXCLUDE, action: unix.AUDIT_ALWAYS,
			fields: [][3]uint32{{unix.AUDIT_MSGTYPE, unix.AUDIT_EQUAL, unix.AUDIT_PROCTITLE}}})
		w.add(tk, s, exitRule("k", []int{unix.SYS_GETPPID}))
		w.call(tk, unix.SYS_GETPPID, nothing)
		if got := w.lines(); len(got) != 1 || !strings.Contains(got[0], "type=1300") {
			t.Errorf("the log is %q", got)
		}
		w.add(tk, s, spec{flags: unix.AUDIT_FILTER_USER, action: unix.AUDIT_NEVER,
			fields: [][3]uint32{{unix.AUDIT_UID, unix.AUDIT_EQUAL, 0}}})
		w.ask(tk, s, unix.AUDIT_FIRST_USER_MSG, 0, []byte("hello\x00"))
		w.expect("a message that a rule of the list user excludes")
	})
}

func TestRecordOfTheConfigurationComesWithItsCall(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		w.lines()
		w.call(tk, unix.SYS_SENDTO, func() error {
			w.ask(tk, s, unix.AUDIT_ADD_RULE, 0, exitRule("k", []int{unix.SYS_GETPPID}).data())
			return nil
		})
		got := w.lines()
		if len(got) != 3 || !strings.Contains(got[0], `op=add_rule key="k" list=4 res=1`) || !strings.Contains(got[1], "syscall=44") {
			t.Errorf("the log is %q", got)
		}
	})
}

func TestRecordsOfACallHaveOneTime(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		w.call(tk, unix.SYS_GETPPID, func() error {
			at, serial := contextOf(tk).stamp()
			time.Sleep(2 * time.Millisecond)
			if laterAt, later := contextOf(tk).stamp(); laterAt != at || later != serial {
				t.Errorf("a record has the time %d and the number %d, the next one %d and %d", at, serial, laterAt, later)
			}
			return nil
		})
	})
}

func TestFirstRuleThatMatchesDecides(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		w.add(tk, s, exitRule("k", []int{unix.SYS_GETPPID}))
		never := spec{flags: unix.AUDIT_FILTER_EXIT, action: unix.AUDIT_NEVER, calls: []int{unix.SYS_GETPPID},
			fields: [][3]uint32{{unix.AUDIT_UID, unix.AUDIT_EQUAL, 0}}}
		w.add(tk, s, never)
		w.call(tk, unix.SYS_GETPPID, nothing)
		if len(w.lines()) == 0 {
			t.Error("a rule after the first one that matches has suppressed the call")
		}
		w.ask(tk, s, unix.AUDIT_DEL_RULE, 0, never.data())
		never.flags |= unix.AUDIT_FILTER_PREPEND
		w.add(tk, s, never)
		w.call(tk, unix.SYS_GETPPID, nothing)
		w.expect("a rule before the others that says never")
	})
}

func TestCallThatEndsTheTaskHasNoResult(t *testing.T) {
	w := run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		w.add(tk, s, exitRule("k", []int{unix.SYS_EXIT_GROUP}))
		w.call(tk, unix.SYS_EXIT_GROUP, func() error { tk.ExitGroup(0); return nil }, 0)
	})
	if got := w.lines(); len(got) == 0 || !strings.Contains(got[0], "syscall=231 A items=0") {
		t.Errorf("the log is %q", got)
	}
}

func TestTasksBeforeTheFirstEnablingHaveNoContext(t *testing.T) {
	run(t, Config{}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		next := auditStatus{Mask: unix.AUDIT_STATUS_ENABLED, Enabled: 1}
		w.ask(tk, s, unix.AUDIT_SET, 0, abi.Bytes(&next))
		if w.audit.levels(tk)&entry.SyscallAudit != 0 {
			t.Error("a task that was made before audit was enabled owes the duty")
		}
	})
}

func TestAdmissionHasTheCallsThatNoRuleNames(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		admits := func(nr int) bool {
			a := w.audit.admissionFor(tk)
			return a.Calls[nr/64]>>(nr%64)&1 != 0
		}
		if w.audit.levels(tk) != entry.SyscallAudit {
			t.Fatal("the level is not raised")
		}
		if !admits(unix.SYS_GETPPID) || admits(unix.SYS_SENDTO) {
			t.Error("without rules, getppid must be admitted, and sendto must not")
		}
		w.add(tk, s, exitRule("k", []int{unix.SYS_GETPPID}))
		if admits(unix.SYS_GETPPID) || !admits(unix.SYS_GETPID) {
			t.Error("a call that a rule names is admitted, or another is not")
		}
		w.add(tk, s, exitRule("l", []int{unix.SYS_GETPID}, [3]uint32{unix.AUDIT_PID, unix.AUDIT_EQUAL, 99}))
		if !admits(unix.SYS_GETPID) {
			t.Error("a call that only a rule for another process names is not admitted")
		}
	})
}

// TestCallsOfEachABIAreNamedByTheirNumbers: the classes of a rule and its perm= have the numbers
// of the call's ABI.
func TestCallsOfEachABIAreNamedByTheirNumbers(t *testing.T) {
	const bind, send = 2, 9
	is := func(kind, value uint32) [3]uint32 { return [3]uint32{kind, unix.AUDIT_EQUAL, value} }
	all := make([]int, entry.Calls)
	for i := range all {
		all[i] = i
	}
	class := func(c int) []int { return []int{maskWords*32 - c - 1} }
	perm := func(ways uint32) [][3]uint32 { return [][3]uint32{is(unix.AUDIT_PERM, ways)} }
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		for _, c := range []struct {
			name     string
			calls    []int
			fields   [][3]uint32
			abi      entry.ABI
			nr       int32
			argument [3]uint64
			matches  bool
		}{
			{"-S of the class dir_write_32", class(unix.AUDIT_CLASS_DIR_WRITE_32), nil, entry.I386, mkdir32, [3]uint64{}, true},
			{"the number of rmdir of x86-64", class(unix.AUDIT_CLASS_DIR_WRITE_32), nil, entry.I386, unix.SYS_RMDIR, [3]uint64{}, false},
			{"arch=b32", []int{mkdir32}, [][3]uint32{is(unix.AUDIT_ARCH, unix.AUDIT_ARCH_I386)}, entry.I386, mkdir32, [3]uint64{}, true},
			{"arch=b64", []int{mkdir32}, [][3]uint32{is(unix.AUDIT_ARCH, unix.AUDIT_ARCH_X86_64)}, entry.I386, mkdir32, [3]uint64{}, false},
			{"perm=w of open", all, perm(unix.AUDIT_PERM_WRITE), entry.I386, open32, [3]uint64{1: unix.O_WRONLY}, true},
			{"perm=w of open to read", all, perm(unix.AUDIT_PERM_WRITE), entry.I386, open32, [3]uint64{}, false},
			{"perm=r of openat", all, perm(unix.AUDIT_PERM_READ), entry.I386, openat32, [3]uint64{}, true},
			{"perm=x of execve", all, perm(unix.AUDIT_PERM_EXEC), entry.I386, execve32, [3]uint64{}, true},
			{"perm=a of fchmodat", all, perm(unix.AUDIT_PERM_ATTR), entry.I386, fchmodat32, [3]uint64{}, true},
			{"perm=w of ftruncate64", all, perm(unix.AUDIT_PERM_WRITE), entry.I386, ftruncate64, [3]uint64{}, true},
			{"perm=w of ioprio_get, which is ftruncate64 of i386", all, perm(unix.AUDIT_PERM_WRITE), entry.X86_64, ftruncate64, [3]uint64{}, false},
			{"perm=w of socketcall for bind", all, perm(unix.AUDIT_PERM_WRITE), entry.I386, socketcall32, [3]uint64{bind}, true},
			{"perm=w of socketcall for send", all, perm(unix.AUDIT_PERM_WRITE), entry.I386, socketcall32, [3]uint64{send}, false},
		} {
			rule := spec{flags: unix.AUDIT_FILTER_EXIT, action: unix.AUDIT_ALWAYS, calls: c.calls, fields: c.fields}
			w.add(tk, s, rule)
			w.lines()
			w.callOf(tk, c.abi, c.nr, func() error { return nil }, c.argument[:]...)
			if got := len(w.lines()) > 0; got != c.matches {
				t.Errorf("%s: the call is recorded: %v, want %v", c.name, got, c.matches)
			}
			w.ask(tk, s, unix.AUDIT_DEL_RULE, 0, rule.data())
			w.lines()
		}
	})
}

// TestNumbersOfI386AreThoseOfItsTable compares with the list that strace embeds.
func TestNumbersOfI386AreThoseOfItsTable(t *testing.T) {
	list, err := os.ReadFile("../strace/decode/calls-i386")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]uint32{}
	for line := range strings.Lines(string(list)) {
		var name string
		var number uint32
		fmt.Sscan(line, &number, &name)
		table[name] = number
	}
	const directories = "creat link linkat mkdir mkdirat mknod mknodat rename renameat renameat2 rmdir symlink symlinkat unlink unlinkat"
	for want, class := range map[string][]uint32{
		directories: classes[unix.AUDIT_CLASS_DIR_WRITE_32],
		"acct bind fallocate ftruncate ftruncate64 quotactl swapon truncate truncate64 " + directories: classes[unix.AUDIT_CLASS_WRITE_32],
		"fgetxattr flistxattr getxattr lgetxattr listxattr llistxattr quotactl readlink readlinkat":    classes[unix.AUDIT_CLASS_READ_32],
		"kill tgkill tkill": classes[unix.AUDIT_CLASS_SIGNAL_32],
		"execve execveat open openat openat2 socketcall": slices.Collect(maps.Keys(accesses32.special)),
		"chmod chown chown32 fchmod fchmodat fchown fchown32 fchownat fremovexattr fsetxattr lchown lchown32 link linkat lremovexattr lsetxattr removexattr setxattr": classes[unix.AUDIT_CLASS_CHATTR_32],
	} {
		var numbers []uint32
		for _, name := range strings.Fields(want) {
			numbers = append(numbers, table[name])
		}
		slices.Sort(numbers)
		if got := slices.Sorted(slices.Values(class)); !slices.Equal(got, numbers) {
			t.Errorf("%s: the numbers are %v, want %v", want, got, numbers)
		}
	}
}

// TestFastPathRecordsTheSameCalls compares the records of calls on the fast path and on the
// slow path, and checks that a call whose rules cannot match is left alone from its entry on.
func TestFastPathRecordsTheSameCalls(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		calls := []int{unix.SYS_GETPPID, unix.SYS_SETUID, unix.SYS_SENDTO}
		// The hold queue overflows in this test, which is logged too.
		records := func() []string {
			return slices.DeleteFunc(w.lines(), func(line string) bool { return !strings.Contains(line, "type=1300") })
		}
		is := func(kind, value uint32) [3]uint32 { return [3]uint32{kind, unix.AUDIT_EQUAL, value} }
		user, other := is(unix.AUDIT_UID, 0), is(unix.AUDIT_UID, 9)
		denied := is(unix.AUDIT_EXIT, ^uint32(unix.EPERM)+1)
		for _, c := range []struct {
			name  string
			rules [][]([3]uint32)
			alone bool // getppid is left alone
		}{
			{"no rule", nil, false}, // such a call is admitted
			{"the user", [][][3]uint32{{user}}, false},
			{"another user", [][][3]uint32{{other}}, true},
			{"another process", [][][3]uint32{{is(unix.AUDIT_PID, 99)}}, true},
			{"two other users", [][][3]uint32{{other}, {is(unix.AUDIT_UID, 8)}}, true},
			{"another user, and the user", [][][3]uint32{{other}, {user}}, false},
			{"a result", [][][3]uint32{{denied}}, false},
			{"another user, and a result", [][][3]uint32{{other}, {denied}}, false},
			{"another user and a result", [][][3]uint32{{denied, other}}, true},
			{"an argument", [][][3]uint32{{is(unix.AUDIT_ARG0, 5)}}, false},
		} {
			for i, fields := range c.rules {
				w.add(tk, s, exitRule(fmt.Sprint(c.name, i), calls, fields...))
			}
			for _, nr := range calls {
				body := func() error { return unix.EPERM }
				if nr == unix.SYS_SETUID {
					body = func() error { return tk.ChangeCredentials(func(c *cred.Credentials) error { c.UID = 9; return nil }) }
				}
				back := func() { tk.ChangeCredentials(func(c *cred.Credentials) error { c.UID = 0; return nil }) }
				w.call(tk, int32(nr), body, 5, 6, 7, 8)
				back()
				want := records()
				seen := w.callFast(tk, int32(nr), body, 5, 6, 7, 8)
				back()
				if got := records(); !slices.Equal(got, want) {
					t.Errorf("%s, call %d: on the fast path the log is\n%s\nwant\n%s", c.name, nr, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				if alone := c.alone && nr == unix.SYS_GETPPID; seen == alone && len(c.rules) > 0 {
					t.Errorf("%s, call %d: the exit is seen: %v", c.name, nr, seen)
				}
			}
			for i, fields := range c.rules {
				if got := result(w.ask(tk, s, unix.AUDIT_DEL_RULE, unix.NLM_F_ACK, exitRule(fmt.Sprint(c.name, i), calls, fields...).data())); got != 0 {
					t.Errorf("deleting the rule: %d", got)
				}
			}
			w.lines()
		}
	})
}

func TestQueueThatIsFullLosesRecords(t *testing.T) {
	run(t, Config{Boot: BootOn, Backlog: 2}, func(w *world, tk *task.Task) {
		w.audit.status.backlogWait.Store(0)
		w.settle()
		w.audit.queue.mu.Lock()
		w.audit.queue.running = true // nobody empties the queue
		w.audit.queue.mu.Unlock()
		for range 5 {
			w.audit.end(w.audit.begin(tk, nil, unix.AUDIT_FIRST_USER_MSG))
		}
		if got := w.audit.status.lost.Load(); got != 2 {
			t.Errorf("%d records are lost, want 2", got)
		}
		w.audit.queue.mu.Lock()
		w.audit.queue.running = false
		w.audit.queue.mu.Unlock()
		w.audit.queue.start(w.audit)
		if got := strings.Join(w.lines(), "\n"); !strings.Contains(got, "audit: audit_backlog=3 > audit_backlog_limit=2") ||
			!strings.Contains(got, "audit: audit_lost=1 audit_rate_limit=0 audit_backlog_limit=2") {
			t.Errorf("the log is %q", got)
		}
	})
}

func TestLogIsRateLimited(t *testing.T) {
	var l printLimit
	allowed := 0
	for range 25 {
		if _, ok := l.take(1e9); ok {
			allowed++
		}
	}
	if missed, ok := l.take(7e9); allowed != 10 || missed != 15 || !ok {
		t.Errorf("%d lines in 5 s, then %d missed, %v; want 10, 15, true", allowed, missed, ok)
	}
}

func TestLoginUIDIsSetOnceWithoutPrivilege(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		w.lines()
		if err := w.audit.SetLoginUID(tk, 1000); err != nil {
			t.Fatal(err)
		}
		w.expect("login", "audit: type=1006 audit(T:N): pid=2 uid=0 old-auid=4294967295 auid=1000 tty=(none) old-ses=4294967295 ses=1 res=1")
		tk.ChangeCredentials(func(next *cred.Credentials) error { next.Effective = 0; return nil })
		if err := w.audit.SetLoginUID(tk, 1001); err != unix.EPERM {
			t.Errorf("a second login: %v, want EPERM", err)
		}
		if uid, session := w.audit.LoginUID(tk); uid != 1000 || session != 1 {
			t.Errorf("loginuid %d, sessionid %d", uid, session)
		}
	})
}

func TestSignalsAndFiltersAreRecorded(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		w.lines()
		const who = ` comm="program" exe="/program"`
		w.kernel.Tracepoints.CoreSignal.Call(task.CoreSignal{Task: tk, Signal: unix.SIGSEGV})
		w.expect("a core dump", "audit: type=1701 audit(T:N): auid=4294967295 uid=0 gid=0 ses=4294967295 pid=2"+who+" sig=11 res=1")
		w.kernel.Tracepoints.CoreSignal.Call(task.CoreSignal{Task: tk, Signal: unix.SIGQUIT})
		w.expect("SIGQUIT")
		tk.Frame.RIP = 0x401000
		w.kernel.Tracepoints.SeccompLogged.Call(task.SeccompLogged{Task: tk, Number: 39, Action: unix.SECCOMP_RET_LOG})
		w.expect("a filter", "audit: type=1326 audit(T:N): auid=4294967295 uid=0 gid=0 ses=4294967295 pid=2"+who+
			" sig=0 arch=c000003e syscall=39 compat=0 ip=0x401000 code=0x7ffc0000")
	})
}

func TestArgumentsOfANewProgramAreRecorded(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		w.add(tk, s, exitRule("k", []int{unix.SYS_EXECVE}))
		long := strings.Repeat("x", 9000)
		w.call(tk, unix.SYS_EXECVE, func() error {
			return tk.Exec(task.ExecRequest{At: fs.At{Caller: tk, Name: "/program", Follow: true}, Argv: []string{"a", "b c", long}})
		})
		var execve []string
		for _, line := range w.lines() {
			if strings.Contains(line, "type=1309") {
				execve = append(execve, line)
			}
		}
		if len(execve) < 3 || !strings.HasPrefix(execve[0], `audit: type=1309 audit(T:N): argc=3 a0="a" a1=622063 a2_len=18000 a2[0]=78`) ||
			!strings.HasPrefix(execve[1], "audit: type=1309 audit(T:N):  a2[1]=78") {
			for _, line := range execve {
				t.Log(line[:min(len(line), 100)])
			}
			t.Error("the records of the arguments differ")
		}
		total := 0
		for _, line := range execve {
			total += strings.Count(line, "78")
		}
		if total < len(long) {
			t.Errorf("%d of %d bytes of the long argument are recorded", total, len(long))
		}
	})
}

func TestMalformedRulesAreRefused(t *testing.T) {
	run(t, Config{}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		for name, c := range map[string]struct {
			rule spec
			want unix.Errno
		}{
			"an unknown list":          {spec{flags: 9, action: 2}, unix.EINVAL},
			"the list entry":           {spec{flags: unix.AUDIT_FILTER_ENTRY, action: 2}, unix.EINVAL},
			"the action possible":      {spec{flags: 4, action: 1}, unix.EINVAL},
			"an unknown field":         {exitRule("k", nil, [3]uint32{99, unix.AUDIT_EQUAL, 0}), unix.EINVAL},
			"an unknown operator":      {exitRule("k", nil, [3]uint32{unix.AUDIT_PID, 5, 0}), unix.EINVAL},
			"bits of a uid":            {exitRule("k", nil, [3]uint32{unix.AUDIT_UID, unix.AUDIT_BIT_MASK, 0}), unix.EINVAL},
			"less than an arch":        {exitRule("k", nil, [3]uint32{unix.AUDIT_ARCH, unix.AUDIT_LESS_THAN, 0}), unix.EINVAL},
			"a uid of -1":              {exitRule("k", nil, [3]uint32{unix.AUDIT_UID, unix.AUDIT_EQUAL, unset}), unix.EINVAL},
			"msgtype in the list exit": {exitRule("k", nil, [3]uint32{unix.AUDIT_MSGTYPE, unix.AUDIT_EQUAL, 1}), unix.EINVAL},
			"two keys":                 {exitRule("k", nil, [3]uint32{unix.AUDIT_FILTERKEY, unix.AUDIT_EQUAL, 1}), unix.EINVAL},
			"a key longer than text": {spec{flags: 4, action: 2, texts: "k",
				fields: [][3]uint32{{unix.AUDIT_FILTERKEY, unix.AUDIT_EQUAL, 2}}}, unix.EINVAL},
			"a watch in a missing directory": {spec{flags: 4, action: 2, texts: "/no/file",
				fields: [][3]uint32{{unix.AUDIT_WATCH, unix.AUDIT_EQUAL, 8}}}, unix.ENOENT},
			"a relative watch": {spec{flags: 4, action: 2, texts: "file",
				fields: [][3]uint32{{unix.AUDIT_WATCH, unix.AUDIT_EQUAL, 4}}}, unix.EINVAL},
		} {
			if got := result(w.ask(tk, s, unix.AUDIT_ADD_RULE, 0, c.rule.data())); got != -int32(c.want) {
				t.Errorf("%s: %d, want %v", name, got, c.want)
			}
			if got := result(w.ask(tk, s, unix.AUDIT_DEL_RULE, 0, c.rule.data())); got != -int32(c.want) {
				t.Errorf("deleting %s: %d, want %v", name, got, c.want)
			}
		}
		rule := exitRule("k", []int{1})
		if got := result(w.ask(tk, s, unix.AUDIT_DEL_RULE, 0, rule.data())); got != -int32(unix.ENOENT) {
			t.Errorf("deleting a rule that does not exist: %d, want ENOENT", got)
		}
		w.add(tk, s, rule)
		if got := result(w.ask(tk, s, unix.AUDIT_ADD_RULE, 0, rule.data())); got != -int32(unix.EEXIST) {
			t.Errorf("adding a rule twice: %d, want EEXIST", got)
		}
		listed := w.ask(tk, s, unix.AUDIT_LIST_RULES, 0, nil)
		if len(listed) != 2 || string(listed[0].Payload) != string(rule.data()) || listed[1].Type != unix.NLMSG_DONE {
			t.Errorf("the list of rules is %+v", listed)
		}
	})
}

// FuzzMessages sends what a program could send: no message may panic, and what a rule says
// when it is listed must be a rule again.
func FuzzMessages(f *testing.F) {
	f.Add(netlink.Encode(unix.AUDIT_GET, unix.NLM_F_ACK, 1, nil))
	f.Add(netlink.Encode(unix.AUDIT_ADD_RULE, 0, 1, exitRule("k", []int{39}).data()))
	f.Add(netlink.Encode(unix.AUDIT_SET, 0, 1, make([]byte, 44)))
	f.Add(netlink.Encode(unix.AUDIT_FIRST_USER_MSG, 0, 1, []byte("text\x00")))
	f.Add(netlink.Encode(unix.AUDIT_MAKE_EQUIV, 0, 1, append(uint32s(2, 3), "/d/ab"...)))
	f.Add(netlink.Encode(unix.AUDIT_TRIM, unix.NLM_F_ACK, 1, nil))
	f.Add(netlink.Encode(unix.AUDIT_TTY_SET, unix.NLM_F_ACK, 1, uint32s(1, 1)))
	f.Add([]byte{16, 0, 0, 0, 1, 2})
	f.Fuzz(func(t *testing.T, p []byte) {
		run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
			s, closed := w.socket(tk)
			defer closed()
			w.audit.status.backlogWait.Store(0)
			s.Send(tk, fs.NewBytesSource(p), nil, fs.SocketCredentials{})
			w.call(tk, unix.SYS_GETPPID, nothing)
			received(s)
			for _, list := range w.audit.rules.Load().lists {
				for _, r := range list {
					again, err := parseRule(r.data())
					if err != nil || !again.same(r) {
						t.Errorf("a rule that is listed is not the same rule: %v", err)
					}
				}
			}
		})
	})
}

// TestRepliesToOneSendAreBounded sends many requests for all rules at once: each of them is
// small, and its answer is not.
func TestRepliesToOneSendAreBounded(t *testing.T) {
	run(t, Config{}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		for i := range 200 {
			w.add(tk, s, exitRule(fmt.Sprintf("key%d", i), []int{unix.SYS_GETPID}))
		}
		var requests []byte
		for range 100 {
			requests = append(requests, netlink.Encode(unix.AUDIT_LIST_RULES, 0, 7, nil)...)
		}
		size, refused := 0, 0
		for _, m := range w.askAll(tk, s, requests) {
			size += netlink.ReplySize(len(m.Payload))
			if m.Type == unix.NLMSG_ERROR && int32(binary.LittleEndian.Uint32(m.Payload)) == -int32(unix.ENOMEM) {
				refused++
			}
		}
		if size < maxReplies/2 || size > 2*maxReplies || refused == 0 || refused == 100 {
			t.Errorf("the replies take %d bytes, and %d of 100 requests fail with ENOMEM", size, refused)
		}
		if n := len(w.ask(tk, s, unix.AUDIT_LIST_RULES, 0, nil)); n != 201 {
			t.Errorf("200 rules are listed in %d messages, want 201", n)
		}
	})
}

// uint32s returns numbers as bytes.
func uint32s(numbers ...uint32) (p []byte) {
	for _, n := range numbers {
		p = binary.LittleEndian.AppendUint32(p, n)
	}
	return p
}

func TestRuleAboutADirectoryFollowsMountsWhenAsked(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		for _, name := range []string{"/d", "/d/before", "/d/later", "/elsewhere"} {
			if err := (fs.At{Caller: tk, Name: name}).MakeDirectory(0o755); err != nil {
				t.Error(err)
			}
		}
		mount := func(at string) {
			t.Helper()
			if err := (fs.At{Caller: tk, Name: at, Follow: true}).MountAt(tmpfs.New(w.Memory, tmpfs.Config{Mode: 0o755}), "x", 0); err != nil {
				t.Error(err)
			}
			w.Write(at+"/file", "")
		}
		w.Write("/elsewhere/file", "")
		mount("/d/before")
		const key = "k"
		rule := exitRule(key, []int{unix.SYS_OPEN}, [3]uint32{unix.AUDIT_DIR, unix.AUDIT_EQUAL, 2})
		rule.texts = "/d" + key
		w.add(tk, s, rule)
		mount("/d/later")
		records := func(name string) bool {
			w.call(tk, unix.SYS_OPEN, func() error {
				f, err := fs.At{Caller: tk, Name: name, Follow: true}.Open(unix.O_RDONLY, 0)
				if err == nil {
					f.DecRef()
				}
				return err
			})
			return len(w.lines()) > 0
		}
		expect := func(when string, before, later, elsewhere bool) {
			t.Helper()
			for name, want := range map[string]bool{"/d/before/file": before, "/d/later/file": later, "/elsewhere/file": elsewhere} {
				if got := records(name); got != want {
					t.Errorf("%s: an open of %s is recorded: %v, want %v", when, name, got, want)
				}
			}
		}
		expect("after the rule", true, false, false)
		equivalent := func(old, next string) int32 {
			return result(w.ask(tk, s, unix.AUDIT_MAKE_EQUIV, unix.NLM_F_ACK, append(uint32s(uint32(len(old)), uint32(len(next))), old+next...)))
		}
		if got := equivalent("/d/later", "/d/later"); got != 0 {
			t.Errorf("AUDIT_MAKE_EQUIV: %d", got)
		}
		w.expect("make_equiv", `audit: type=1305 audit(T:N): pid=2 uid=0 auid=4294967295 ses=4294967295 op=make_equiv old="/d/later" new="/d/later" res=1`)
		equivalent("/elsewhere", "/elsewhere") // no rule is about a directory above it
		w.lines()
		expect("with the later mount", true, true, false)
		equivalent("/d", "/elsewhere")
		w.lines()
		expect("with another directory", true, true, true)
		w.ask(tk, s, unix.AUDIT_TRIM, unix.NLM_F_ACK, nil)
		w.lines()
		expect("after the trim", true, true, false)
		for name, payload := range map[string][]byte{
			"no lengths": nil, "a length of 0": uint32s(0, 0), "a length beyond the end": append(uint32s(1, 2), "ab"...),
		} {
			if got := result(w.ask(tk, s, unix.AUDIT_MAKE_EQUIV, unix.NLM_F_ACK, payload)); got != -int32(unix.EINVAL) {
				t.Errorf("AUDIT_MAKE_EQUIV with %s: %d", name, got)
			}
		}
		if got := equivalent("/missing", "/d"); got != -int32(unix.ENOENT) {
			t.Errorf("AUDIT_MAKE_EQUIV of a missing path: %d", got)
		}
	})
}

// terminal is a terminal with a device number.
type terminal struct{}

// DeviceNumber implements fs.Terminal.
func (terminal) DeviceNumber() uint64 { return unix.Mkdev(136, 3) }

func TestTerminalInputIsRecordedWhenEnabled(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		w.lines()
		read := func(canonical, echo bool, data string) {
			tk.HasReadTerminal(fs.TerminalRead{Terminal: terminal{}, Canonical: canonical, Echo: echo, Data: []byte(data)})
		}
		push := func(want ...string) {
			t.Helper()
			if got := result(w.ask(tk, s, unix.AUDIT_USER_TTY, unix.NLM_F_ACK, []byte("ls\x00"))); got != 0 {
				t.Errorf("AUDIT_USER_TTY: %d", got)
			}
			const user = `audit: type=1124 audit(T:N): pid=2 uid=0 auid=4294967295 ses=4294967295 data="ls"`
			w.expect("AUDIT_USER_TTY", append(want, user)...)
		}
		line := func(data string) string {
			return `audit: type=1319 audit(T:N): tty pid=2 uid=0 auid=4294967295 ses=4294967295 major=136 minor=3 comm="program" data=` + data
		}
		read(true, true, "not recorded\n")
		if got := result(w.ask(tk, s, unix.AUDIT_USER_TTY, unix.NLM_F_ACK, []byte("ls\x00"))); got != -int32(unix.EPERM) {
			t.Errorf("AUDIT_USER_TTY without recording: %d", got)
		}
		w.ask(tk, s, unix.AUDIT_TTY_SET, unix.NLM_F_ACK, uint32s(1, 0))
		w.lines()
		push()
		read(true, true, "a\n")
		read(true, false, "password\n")
		read(true, true, "b\n")
		push(line("610A620A"))
		read(true, true, "c\n")
		read(false, true, "x")
		w.expect("the change of the mode", line("630A"))
		push(line("78"))
		w.ask(tk, s, unix.AUDIT_TTY_SET, unix.NLM_F_ACK, uint32s(1, 1))
		w.lines()
		read(true, false, strings.Repeat("p", inputBytes+1))
		w.expect("a full buffer", line(strings.Repeat("70", inputBytes)))
		read(true, true, "q\n")
		// The end of the process writes the rest.
	}).expect("the exit", `audit: type=1319 audit(T:N): tty pid=2 uid=0 auid=4294967295 ses=4294967295 major=136 minor=3 comm="program" data=70710A`)
}

func TestNamesBeyondTheUsualNumberAreRecorded(t *testing.T) {
	run(t, Config{Boot: BootOn, Backlog: 1000}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		w.add(tk, s, exitRule("k", []int{unix.SYS_STAT}))
		const count = 100
		w.call(tk, unix.SYS_STAT, func() error {
			for i := range count {
				x := contextOf(tk)
				x.Named(uint64(i+1), fmt.Sprint("/name", i))
			}
			return nil
		})
		if lost := w.audit.status.lost.Load(); lost != 0 {
			t.Errorf("%d names: %d records are lost", count, lost)
		}
		if lines := w.lines(); !strings.Contains(lines[0], fmt.Sprintf("items=%d ", count)) {
			t.Errorf("%d names: %s", count, lines[0])
		}
	})
}

func TestRuleAboutTheFamilyOfAnAddress(t *testing.T) {
	run(t, Config{Boot: BootOn}, func(w *world, tk *task.Task) {
		s, closed := w.socket(tk)
		defer closed()
		w.add(tk, s, exitRule("k", []int{unix.SYS_CONNECT}, [3]uint32{unix.AUDIT_SADDR_FAM, unix.AUDIT_EQUAL, unix.AF_UNIX}))
		for family, want := range map[byte]bool{unix.AF_UNIX: true, unix.AF_INET: false} {
			w.call(tk, unix.SYS_CONNECT, func() error { contextOf(tk).SocketAddress([]byte{family, 0, 'x'}); return nil })
			if got := len(w.lines()) > 0; got != want {
				t.Errorf("saddr_fam=1 and family %d: recorded: %v, want %v", family, got, want)
			}
		}
		w.call(tk, unix.SYS_CONNECT, nothing)
		w.expect("a call without an address")
	})
}

func TestValuesOfFieldsAreChecked(t *testing.T) {
	for _, f := range [][3]uint32{
		{unix.AUDIT_LOGINUID_SET, unix.AUDIT_EQUAL, 2}, {unix.AUDIT_PERM, unix.AUDIT_EQUAL, 16}, {unix.AUDIT_FILETYPE, unix.AUDIT_EQUAL, 1},
		{unix.AUDIT_FIELD_COMPARE, unix.AUDIT_EQUAL, unix.AUDIT_MAX_FIELD_COMPARE + 1}, {unix.AUDIT_SADDR_FAM, unix.AUDIT_EQUAL, 46},
	} {
		if _, err := parseRule(exitRule("k", []int{1}, f).data()); err != unix.EINVAL {
			t.Errorf("field %d with the value %d: %v", f[0], f[2], err)
		}
	}
}

func TestTasksWithoutRulesOfTheirOwnShareAnAdmission(t *testing.T) {
	rules := newRuleSet()
	for pid := range uint32(100) {
		r, err := parseRule(exitRule("k", []int{unix.SYS_GETPID}, [3]uint32{unix.AUDIT_PID, unix.AUDIT_EQUAL, 1000 + pid}).data())
		if err != nil {
			t.Fatal(err)
		}
		rules = rules.with(r)
	}
	r, _ := parseRule(exitRule("k", []int{unix.SYS_GETPPID}, [3]uint32{unix.AUDIT_PID, unix.AUDIT_GREATER_THAN, 5000}).data())
	rules = rules.with(r)
	common := rules.common()
	admits := func(pid uint32, nr int) bool {
		return rules.admissionOf(common, pid).Calls[nr/64]>>(nr%64)&1 != 0
	}
	if rules.admissionOf(common, 1) != common {
		t.Error("a process without rules has an admission of its own")
	}
	if admits(1005, unix.SYS_GETPID) || !admits(1005, unix.SYS_GETPPID) || !admits(6000, unix.SYS_GETPID) || admits(6000, unix.SYS_GETPPID) {
		t.Error("a process is not observed by its rules alone")
	}
}
