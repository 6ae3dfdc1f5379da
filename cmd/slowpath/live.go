package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"golang.org/x/term"

	"slowpath/syscall"
	"slowpath/timeline/report"
)

// liveView shows what the machine does while it runs (slowpath run --live): calls, faults
// and signals per second by task, the most frequent calls, and the duties of the slow path.
// The program's output is below it, unless that goes to a file.
type liveView struct {
	totals  *report.Totals
	output  *lastLines
	program *tea.Program
	ended   chan error
}

// errNoTerminal is the error of --live without a terminal.
var errNoTerminal = errors.New("--live needs a terminal on standard error; to record without one, use --exits FILE")

// newLiveView returns a view that is not shown yet. stop ends the run: the user has pressed
// q. Error: errNoTerminal.
func newLiveView(std standard, stop func()) (*liveView, error) {
	terminal, ok := std.err.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return nil, errNoTerminal
	}
	v := &liveView{totals: report.NewTotals(report.Names{Call: syscall.Name, Call32: syscall.Name32}), output: new(lastLines), ended: make(chan error, 1)}
	model := &liveModel{source: v.totals.Snapshot, output: v.output.last, stop: stop, began: time.Now()}
	options := []tea.ProgramOption{tea.WithOutput(terminal), tea.WithAltScreen(), tea.WithoutSignalHandler()}
	if std.in == nil || !term.IsTerminal(int(std.in.Fd())) {
		options = append(options, tea.WithInput(nil))
	}
	v.program = tea.NewProgram(model, options...)
	return v, nil
}

// show begins to show the view.
func (v *liveView) show() {
	go func() {
		_, err := v.program.Run()
		v.ended <- err
	}()
}

// close ends the view and prints the program's last lines where it was.
func (v *liveView) close(out io.Writer) error {
	v.program.Quit()
	err := <-v.ended
	for _, line := range v.output.last(keptLines) {
		fmt.Fprintln(out, line)
	}
	return err
}

// stream returns where the program's output goes: into the view, if it would go to the
// terminal.
func (v *liveView) stream(w io.Writer) io.Writer {
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return v.output
	}
	return w
}

// keptLines is how many lines of output the view keeps.
const keptLines = 100

// lastLines keeps the last lines that were written to it. It is safe for concurrent use.
type lastLines struct {
	mu    sync.Mutex
	lines []string
	rest  []byte // of the line that has not ended
}

// Write takes output.
func (l *lastLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	const longest = 4096
	all := append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(all, []byte("\n"))
		if !found {
			break
		}
		l.lines = append(l.lines, string(line))
		all = rest
	}
	l.lines = slices.Clone(l.lines[max(0, len(l.lines)-keptLines):])
	l.rest = bytes.Clone(all[max(0, len(all)-longest):])
	return len(p), nil
}

// last returns the last n lines.
func (l *lastLines) last(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	if len(l.rest) > 0 {
		lines = append(slices.Clone(lines), string(l.rest))
	}
	return slices.Clone(lines[max(0, len(lines)-n):])
}

// liveModel is the state of the view (bubbletea's Model).
type liveModel struct {
	source func() report.Snapshot
	output func(n int) []string
	stop   func()
	began  time.Time

	width, height int
	at            time.Time
	seconds       float64 // between the two snapshots
	before, now   report.Snapshot
	rates         map[uint32]report.Counts // of each task, before
}

// refresh is the time between two snapshots.
const refresh = time.Second

// tickMessage asks for a snapshot.
type tickMessage time.Time

func tick() tea.Cmd { return tea.Tick(refresh, func(t time.Time) tea.Msg { return tickMessage(t) }) }

// Init begins the ticks.
func (m *liveModel) Init() tea.Cmd {
	m.at = m.began
	return tick()
}

// Update handles a key, a new size or a tick.
func (m *liveModel) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = message.Width, message.Height
	case tea.KeyMsg:
		if key := message.String(); key == "q" || key == "ctrl+c" {
			m.stop()
		}
	case tickMessage:
		m.snapshot(time.Time(message))
		return m, tick()
	}
	return m, nil
}

// snapshot replaces the snapshots.
func (m *liveModel) snapshot(now time.Time) {
	m.seconds, m.at = max(now.Sub(m.at).Seconds(), 0.001), now
	m.rates = make(map[uint32]report.Counts, len(m.now.Tasks))
	for i := range m.now.Tasks {
		m.rates[m.now.Tasks[i].Task] = m.now.Tasks[i].Counts
	}
	m.before, m.now = m.now, m.source()
}

// rate returns an increase as a number per second.
func (m *liveModel) rate(before, now uint64) float64 {
	if m.seconds == 0 {
		return 0
	}
	return float64(now-before) / m.seconds
}

// View returns the screen: a part for the totals, and the output below.
func (m *liveModel) View() string {
	if m.height == 0 {
		return ""
	}
	lines := []string{m.headline(), ""}
	lines = append(lines, m.taskLines(max(3, m.height/2-5))...)
	lines = append(lines, "", "calls/s   "+m.frequent(8), "duties/s  "+m.duties(), "")
	if room := m.height - len(lines) - 1; room > 1 {
		lines = append(lines, strings.Repeat("-", m.width))
		lines = append(lines, m.output(room-1)...)
	}
	for i := range lines {
		lines[i] = cut(printable(lines[i]), m.width)
	}
	return strings.Join(lines[:min(len(lines), m.height)], "\n")
}

func (m *liveModel) headline() string {
	line := fmt.Sprintf("slowpath  %.0f s  %d tasks  %.0f calls/s  %.0f faults/s  %.0f signals/s  %.0f visits/s",
		m.at.Sub(m.began).Seconds(), len(m.now.Tasks), m.rate(m.before.Counts.Calls, m.now.Counts.Calls), m.rate(m.before.Faults, m.now.Faults),
		m.rate(m.before.Signals, m.now.Signals), m.rate(m.before.Visits, m.now.Visits))
	if m.now.Lost > 0 {
		line += fmt.Sprintf("  %d records lost", m.now.Lost)
	}
	return line + "  (q ends the run)"
}

// taskLines returns a line for each of the busiest tasks.
func (m *liveModel) taskLines(most int) []string {
	tasks := slices.Clone(m.now.Tasks)
	slices.SortStableFunc(tasks, func(a, b report.TaskTotals) int {
		return -cmp.Compare(a.Counts.Calls-m.rates[a.Task].Calls, b.Counts.Calls-m.rates[b.Task].Calls)
	})
	lines := []string{fmt.Sprintf("%7s  %-16s %12s %10s %10s  %s", "task", "name", "calls/s", "faults/s", "signals/s", "last call")}
	for i := range tasks[:min(most, len(tasks))] {
		t, before := &tasks[i], m.rates[tasks[i].Task]
		lines = append(lines, fmt.Sprintf("%7d  %-16s %12.0f %10.0f %10.0f  %s", t.Task, t.Comm,
			m.rate(before.Calls, t.Counts.Calls), m.rate(before.Faults, t.Faults), m.rate(before.Signals, t.Signals), t.LastCall))
	}
	if hidden := len(tasks) - most; hidden > 0 {
		lines = append(lines, fmt.Sprintf("%7s  and %d more", "", hidden))
	}
	return lines
}

// frequent returns the most frequent calls and their rates.
func (m *liveModel) frequent(most int) string {
	before := make(map[string]uint64, len(m.before.Calls))
	for _, c := range m.before.Calls {
		before[c.Name] = c.Count
	}
	calls := slices.Clone(m.now.Calls)
	for i := range calls {
		calls[i].Count -= before[calls[i].Name]
	}
	calls = slices.DeleteFunc(calls, func(c report.CallTotal) bool { return c.Count == 0 })
	slices.SortStableFunc(calls, func(a, b report.CallTotal) int { return -cmp.Compare(a.Count, b.Count) })
	var words []string
	for _, c := range calls[:min(most, len(calls))] {
		words = append(words, fmt.Sprintf("%s %.0f", c.Name, m.rate(0, c.Count)))
	}
	return strings.Join(words, "  ")
}

// duties returns the duties that were served and their rates.
func (m *liveModel) duties() string {
	var words []string
	names, counts := report.ServedDuties(&m.before, &m.now)
	for i, n := range counts {
		if n > 0 {
			words = append(words, fmt.Sprintf("%s %.0f", names[i], m.rate(0, n)))
		}
	}
	return strings.Join(words, "  ")
}

// printable replaces what could control the terminal. The program writes the output, and the
// names of tasks are the program's too.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '.'
		}
		return r
	}, s)
}

// cut returns at most width characters of a text.
func cut(s string, width int) string {
	if runes := []rune(s); len(runes) > width {
		return string(runes[:width])
	}
	return s
}
