package qemu

import (
	"bytes"
	"encoding/json"
	"net"
	"os/exec"
	"strings"
	"testing"
)

func TestArgsReflectConfig(t *testing.T) {
	c := Config{
		Kernel: "/k.elf", Initramfs: []byte("x"), Append: "quiet 'a b'", Machine: "microvm", CPUs: 4, MemoryMiB: 64,
		Icount: Deterministic, GDB: "tcp::1234", Extra: []string{"-S"},
	}
	line := " " + strings.Join(c.Args(), " ") + " "
	for _, want := range []string{
		" -M microvm,", " -accel tcg ", " -cpu max ", " -smp 4 ", " -m 64 ", " -nodefaults ", " -display none ", " -no-reboot ",
		" -kernel /k.elf ", " -initrd /proc/self/fd/6 ", " -append virtio_mmio.device=512@0xfeb00000:16 quiet 'a b' ", " -icount shift=0,sleep=off ",
		" -gdb tcp::1234 -S ", " -device isa-debug-exit,iobase=0xf4,iosize=1 ",
		" -device virtserialport,nr=1,name=slowpath.link,chardev=link ",
	} {
		if !strings.Contains(line, want) {
			t.Errorf("%q is not in%s", want, line)
		}
	}
	if got := (&Config{Kernel: "k"}).Args(); strings.Contains(strings.Join(got, " "), "-initrd") {
		t.Errorf("without an initramfs the arguments have -initrd: %v", got)
	}
}

func TestLinkDeviceSuitsMachine(t *testing.T) {
	const serial = " -device isa-serial,index=1,iobase=0x2f8,irq=3,chardev=link "
	for name, device := range map[string]string{
		"microvm": " -device virtio-serial-device,", "pc": " -device virtio-serial-pci,", "q35": " -device virtio-serial-pci,",
	} {
		line := " " + strings.Join((&Config{Machine: name}).Args(), " ") + " "
		if !strings.Contains(line, device) || strings.Contains(line, serial) {
			t.Errorf("%s must have a virtio port and no serial port for the link:%s", name, line)
		}
		line = " " + strings.Join((&Config{Machine: name, Serial: true}).Args(), " ") + " "
		if strings.Contains(line, "virtio") || !strings.Contains(line, serial) {
			t.Errorf("%s must have a serial port and no virtio port for the link:%s", name, line)
		}
	}
}

func TestCommandIsQuotedForShell(t *testing.T) {
	c := Config{Kernel: "/it's k.elf", Append: "a b"}
	out, err := exec.Command("sh", "-c", strings.Replace(c.Command(), Binary, `printf '%s\n'`, 1)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(out), strings.Join(c.Args(), "\n")+"\n"; got != want {
		t.Errorf("the shell reads\n%s\nwant\n%s", got, want)
	}
}

func TestCheckRefusesBadConfigs(t *testing.T) {
	for name, c := range map[string]Config{
		"machine": {Machine: "toaster"}, "processors": {CPUs: 65}, "negative": {CPUs: -1}, "cpu": {CPU: "max -S"},
	} {
		if err := c.Check(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := (&Config{}).Check(); err != nil {
		t.Error(err)
	}
}

func TestAcceleratorIsParsedAndResolved(t *testing.T) {
	if _, err := ParseAccel("hax"); err == nil {
		t.Error("ParseAccel accepts hax")
	}
	if a, err := TCG.Resolve(t.Context()); a != TCG || err != nil {
		t.Errorf("tcg resolves to %v, %v", a, err)
	}
	if a, err := Auto.Resolve(t.Context()); a != TCG && a != KVM || err != nil {
		t.Errorf("auto resolves to %v, %v", a, err)
	}
}

func TestTailKeepsLastBytes(t *testing.T) {
	tail := newTail(10)
	for i := range 100 {
		tail.Write(bytes.Repeat([]byte{byte('a' + i%26)}, i%7))
	}
	tail.Write([]byte("0123456789end"))
	if got := tail.String(); got != "3456789end" {
		t.Errorf("got %q", got)
	}
	short := newTail(10)
	short.Write([]byte("abc"))
	if got := short.String(); got != "abc" {
		t.Errorf("got %q", got)
	}
}

func TestMonitorSkipsEventsAndReportsErrors(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		in := json.NewDecoder(theirs)
		theirs.Write([]byte(`{"QMP": {"version": {}}}` + "\n"))
		for {
			var c command
			if in.Decode(&c) != nil {
				return
			}
			answer := `{"event": "RESET"}` + "\n" + `{"return": {"said": "` + c.Execute + `"}}`
			if c.Execute == "bad" {
				answer = `{"error": {"class": "CommandNotFound", "desc": "no such thing"}}`
			}
			theirs.Write([]byte(answer + "\n"))
		}
	}()
	m, err := NewMonitor(ours)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Execute("query-status", map[string]int{"a": 1}); string(got) != `{"said": "query-status"}` || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := m.Execute("bad", nil); err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("the error is %v", err)
	}
}
