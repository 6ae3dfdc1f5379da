package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"slowpath/timeline/report"
)

func TestLiveViewShowsRatesOfTheLastSecond(t *testing.T) {
	began := time.Unix(100, 0)
	snapshots := []report.Snapshot{
		{Counts: report.Counts{Calls: 10}, Tasks: []report.TaskTotals{{Task: 2, Comm: "sh", Counts: report.Counts{Calls: 10}}}, Calls: []report.CallTotal{{Name: "read", Count: 10}}},
		{
			Counts: report.Counts{Calls: 2010, Faults: 4}, Lost: 7,
			Tasks: []report.TaskTotals{
				{Task: 2, Comm: "sh", Counts: report.Counts{Calls: 10}},
				{Task: 3, Comm: "d\x1bd", LastCall: "write", Counts: report.Counts{Calls: 2000, Faults: 4}},
			},
			Calls: []report.CallTotal{{Name: "read", Count: 10}, {Name: "write", Count: 2000}},
		},
	}
	stopped := 0
	m := &liveModel{
		source: func() report.Snapshot { s := snapshots[0]; snapshots = snapshots[1:]; return s },
		output: func(n int) []string { return []string{"a line"} },
		stop:   func() { stopped++ }, began: began,
	}
	m.Init()
	for _, message := range []tea.Msg{
		tea.WindowSizeMsg{Width: 100, Height: 30}, tickMessage(began.Add(time.Second)), tickMessage(began.Add(3 * time.Second)),
		tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("q")},
	} {
		m.Update(message)
	}
	view := m.View()
	for _, want := range []string{"1000 calls/s  2 faults/s", "7 records lost", "3  d.d                      1000          2          0  write", "calls/s   write 1000\n", "a line"} {
		if !strings.Contains(view, want) {
			t.Errorf("the view lacks %q:\n%s", want, view)
		}
	}
	if strings.Index(view, "d.d") > strings.Index(view, "sh  ") {
		t.Errorf("the busiest task is not the first:\n%s", view)
	}
	if stopped != 1 {
		t.Errorf("q has ended the run %d times", stopped)
	}
}

// TestLiveViewFitsEveryScreen draws many tasks on screens of all small sizes.
func TestLiveViewFitsEveryScreen(t *testing.T) {
	var s report.Snapshot
	for i := range uint32(100) {
		s.Tasks = append(s.Tasks, report.TaskTotals{Task: i, Comm: strings.Repeat("é", 20)})
	}
	m := &liveModel{source: func() report.Snapshot { return s }, output: func(n int) []string { return make([]string, n) }, stop: func() {}}
	for height := range 40 {
		for _, width := range []int{0, 1, 20, 200} {
			m.Update(tea.WindowSizeMsg{Width: width, Height: height})
			m.Update(tickMessage(time.Now()))
			lines := strings.Split(m.View(), "\n")
			if len(lines) > max(height, 1) {
				t.Fatalf("%d lines on a screen of %d", len(lines), height)
			}
			for _, line := range lines {
				if len([]rune(line)) > width {
					t.Fatalf("a line of %d characters on a screen of %d", len([]rune(line)), width)
				}
			}
		}
	}
}

func TestLastLinesAreKept(t *testing.T) {
	var l lastLines
	for i := range 500 {
		fmt.Fprintf(&l, "line %d\nli", i)
		fmt.Fprint(&l, "ne\n")
	}
	l.Write([]byte("end"))
	if got := strings.Join(l.last(3), ","); got != "line 499,line,end" {
		t.Errorf("the last lines are %s", got)
	}
	if n := len(l.last(1000)); n != keptLines+1 {
		t.Errorf("%d lines are kept", n)
	}
}

func TestLiveViewNeedsATerminal(t *testing.T) {
	var b bytes.Buffer
	if _, err := newLiveView(standard{err: &b}, func() {}); err != errNoTerminal {
		t.Errorf("without a terminal: %v", err)
	}
}

func TestLiveViewRefusesOtherUsersOfTheTerminal(t *testing.T) {
	for _, flags := range [][]string{{"-t"}, {"-v"}, {"--probe", "main"}} {
		if _, err := parseRunFlags(append(append([]string{"--live"}, flags...), "/bin/true")); err == nil {
			t.Errorf("--live with %v is accepted", flags)
		}
	}
	if _, err := parseRunFlags([]string{"--live", "--probe", "main", "-o", "hits", "/bin/true"}); err != nil {
		t.Errorf("--live with hits in a file: %v", err)
	}
}
