package klog

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

func TestConsoleShowsImportantMessagesOnly(t *testing.T) {
	var console bytes.Buffer
	l := New(&console, Info)
	l.Errorf("bad %d\n", 1)
	l.Infof("fine")
	if want := regexp.MustCompile(`^\[ *\d+\.\d{6}\] bad 1\n$`); !want.MatchString(console.String()) {
		t.Errorf("the console has %q", console.String())
	}
	if n := bytes.Count(l.Text(), []byte("\n")); n != 2 {
		t.Errorf("the log keeps %d lines of 2", n)
	}
}

func TestRingDropsWholeLines(t *testing.T) {
	l := New(&bytes.Buffer{}, 0)
	for i := range 5000 {
		l.Infof("message %d %s", i, strings.Repeat("x", i%100))
	}
	text := l.Text()
	if len(text) > ringSize || len(text) < ringSize-200 {
		t.Errorf("%d bytes are kept", len(text))
	}
	if !bytes.HasPrefix(text, []byte("[")) || !bytes.Contains(text, []byte("message 4999 ")) {
		t.Errorf("the ring begins with %q", text[:40])
	}
}
