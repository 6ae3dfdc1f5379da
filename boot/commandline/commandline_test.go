package commandline

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseFillsOptions(t *testing.T) {
	defaults := Options{LogLevel: 7, Console: "ttyS0", Panic: -1}
	with := func(change func(*Options)) Options { o := defaults; change(&o); return o }
	for line, want := range map[string]Options{
		"":                    defaults,
		"  \t ":               defaults,
		"quiet":               with(func(o *Options) { o.LogLevel = 4 }),
		"loglevel=3 panic=10": with(func(o *Options) { o.LogLevel, o.Panic = 3, 10 }),
		"console=ttyS0,115200n8 init=/bin/sh -- -c \"ls  -l\" --": with(func(o *Options) {
			o.Init, o.Args = "/bin/sh", []string{"-c", "ls  -l", "--"}
		}),
		`"init=/a b" ro root=/dev/sda`: with(func(o *Options) {
			o.Init, o.Unknown = "/a b", []string{"ro", "root=/dev/sda"}
		}),
		`init=/x -- "" a`: with(func(o *Options) { o.Init, o.Args = "/x", []string{"", "a"} }),
		"slowpath.core":   with(func(o *Options) { o.Core = true }),
		"slowpath.exits":  with(func(o *Options) { o.Exits = true }),
		"virtio_mmio.device=512@0xfeb00000:16 virtio_mmio.device=4K@0xd0000000:5:1": with(func(o *Options) {
			o.VirtioMMIO = []VirtioDevice{{0xfeb00000, 512, 16}, {0xd0000000, 4096, 5}}
		}),
		"audit=1 audit_backlog_limit=0x100": with(func(o *Options) { o.Audit, o.AuditBacklog = AuditOn, 256 }),
		"vsyscall=emulate":                  with(func(o *Options) { o.Vsyscall = VsyscallEmulate }),
		"vsyscall=none":                     with(func(o *Options) { o.Vsyscall = VsyscallNone }),
		"audit=off":                         with(func(o *Options) { o.Audit = AuditOff }),
		"slowpath.norandom":                 with(func(o *Options) { o.NoRandomize = true }),
	} {
		got, err := Parse(line)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v; want %+v", line, got, err, want)
		}
	}
}

func TestInvalidValueIsReportedAndOthersAreSet(t *testing.T) {
	for _, line := range []string{
		"init=sh", "loglevel=8", "loglevel=", "panic=soon", "console=tty0", "quiet=1", "slowpath.norandom=1", "audit=2", "audit_backlog_limit=-1", "vsyscall=native",
		"virtio_mmio.device=", "virtio_mmio.device=512@:1", "virtio_mmio.device=K@1:1", "virtio_mmio.device=512@1:x", "virtio_mmio.device=512:1",
	} {
		o, err := Parse(line + " init=/ok")
		if err == nil || !strings.HasPrefix(err.Error(), "the kernel's option ") {
			t.Errorf("%q: error %v", line, err)
		}
		if o.Init != "/ok" {
			t.Errorf("%q: the option after the invalid one is not set", line)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`console=ttyS0 "quiet" -- a "b c"`)
	f.Fuzz(func(t *testing.T, line string) {
		o, _ := Parse(line)
		if o.LogLevel < 0 || o.LogLevel > 7 {
			t.Fatalf("log level %d", o.LogLevel)
		}
	})
}
