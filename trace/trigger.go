package trace

import (
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// trigger is what happens when an event happens (Documentation/trace/events.rst of Linux,
// "Event triggers").
type trigger struct {
	command *triggerCommand
	file    *EventFile // of the event that has the trigger
	target  *EventFile // of the event that is enabled or disabled
	filter  *Filter    // nil: always
	count   atomic.Int64
	// histogram is set for the command hist.
	histogram *histogram
}

// unlimited is the count of a trigger that never ends.
const unlimited = -1

// triggerCommand is a kind of trigger.
type triggerCommand struct {
	name string
	// kind is equal for commands of which an event may have only one.
	kind string
	// after says that the trigger runs after the record was stored.
	after bool
	// afterRecord says that the trigger runs after the record was stored if it is called with
	// the record.
	afterRecord bool
	// hasTarget says that the command has the parameters SYSTEM:EVENT.
	hasTarget bool
	// due reports whether the trigger would change anything. nil stands for always.
	due func(t *trigger) bool
	// act does what the trigger is for, with the thread in which the event happens. It must
	// not sleep. nil stands for the command hist, which counts records.
	act func(t *trigger, who Task)
}

// triggerCommands are the triggers in the order in which the file trigger lists them.
var triggerCommands = []triggerCommand{
	{name: "traceon", kind: "trace",
		due: func(t *trigger) bool { return !t.file.instance.On() },
		act: func(t *trigger, _ Task) { t.file.instance.setOn(true) }},
	{name: "traceoff", kind: "trace", after: true,
		due: func(t *trigger) bool { return t.file.instance.On() },
		act: func(t *trigger, _ Task) { t.file.instance.setOn(false) }},
	{name: "snapshot", kind: "snapshot", afterRecord: true, act: func(t *trigger, who Task) { t.file.instance.triggerSnapshot(who) }},
	{name: "stacktrace", kind: "stacktrace", after: true,
		act: func(t *trigger, who Task) { t.file.instance.storeStack(who, stackOfTrigger) }},
	{name: "enable_event", kind: "event", hasTarget: true,
		due: func(t *trigger) bool { return t.target.state.Load().silent.Load() },
		act: func(t *trigger, _ Task) { t.target.state.Load().silent.Store(false) }},
	{name: "disable_event", kind: "event", hasTarget: true,
		due: func(t *trigger) bool { return !t.target.state.Load().silent.Load() },
		act: func(t *trigger, _ Task) { t.target.state.Load().silent.Store(true) }},
	{name: "enable_hist", kind: "pause", hasTarget: true, act: func(t *trigger, _ Task) { t.target.pauseHistograms(false) }},
	{name: "disable_hist", kind: "pause", hasTarget: true, act: func(t *trigger, _ Task) { t.target.pauseHistograms(true) }},
	{name: histName},
}

// histName is the command of histograms. Its parameters are those of package hist.
const histName = "hist"

// run runs the trigger, unless its count is used up or it would change nothing. It does
// not sleep.
func (t *trigger) run(who Task) {
	if t.command.due != nil && !t.command.due(t) {
		return
	}
	for {
		left := t.count.Load()
		if left == 0 {
			return
		}
		if left == unlimited || t.count.CompareAndSwap(left, left-1) {
			break
		}
	}
	t.command.act(t, who)
}

// String returns the line of the trigger in the file trigger, without the newline.
func (t *trigger) String() string {
	if t.isHist() {
		text := t.histogram.String()
		if t.filter != nil {
			text += " if " + t.filter.String()
		}
		return text + t.histogram.state()
	}
	text := t.command.name
	if t.target != nil {
		text += ":" + t.target.event.System + ":" + t.target.event.Name
	}
	if count := t.count.Load(); count == unlimited {
		text += ":unlimited"
	} else {
		text += ":count=" + strconv.FormatInt(count, 10)
	}
	if t.filter != nil {
		text += " if " + t.filter.String()
	}
	return text
}

// Triggers returns the contents of the file trigger. Error: ENODEV if the event was
// removed.
func (f *EventFile) Triggers() (string, error) {
	r := f.event.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.removed {
		return "", unix.ENODEV
	}
	var b strings.Builder
	for _, t := range f.state.Load().triggers {
		b.WriteString(t.String() + "\n")
	}
	if b.Len() > 0 {
		return b.String(), nil
	}
	b.WriteString("# Available triggers:\n#")
	for i := range triggerCommands {
		b.WriteString(" " + triggerCommands[i].name)
	}
	return b.String() + "\n", nil
}

// triggerText is a parsed line of the file trigger.
type triggerText struct {
	remove    bool
	command   *triggerCommand
	parameter string // what follows the command's name and the colon, up to a space
	hasCount  bool
	condition string // the text from "if" on, or all parameters of the command hist
}

// parseTrigger splits a line. Error: EINVAL (Linux: trigger_process_regex,
// event_trigger_separate_filter).
func parseTrigger(line string) (t triggerText, err error) {
	line, t.remove = strings.CutPrefix(trimSpaces(line), "!")
	name, rest := line, ""
	if at := strings.IndexAny(line, ": \t"); at >= 0 {
		name, rest = line[:at], trimSpaces(line[at+1:])
	}
	at := slices.IndexFunc(triggerCommands, func(c triggerCommand) bool { return c.name == name })
	if at < 0 {
		return t, unix.EINVAL
	}
	t.command = &triggerCommands[at]
	if name == histName {
		t.condition = rest
		return t, nil
	}
	if t.command.hasTarget && rest == "" {
		return t, unix.EINVAL
	}
	if rest == "" {
		return t, nil
	}
	if !t.command.hasTarget && (rest[0] < '0' || rest[0] > '9') {
		t.condition = rest
		return t, nil
	}
	t.parameter = rest
	if at := strings.IndexAny(rest, " \t"); at >= 0 {
		t.parameter, t.condition = rest[:at], trimSpaces(rest[at+1:])
	}
	return t, nil
}

// count returns the number in a parameter, or unlimited. Error: EINVAL.
func parseCount(text string, present bool) (int64, error) {
	if !present {
		return unlimited, nil
	}
	count, err := strconv.ParseUint(text, 0, 63)
	if err != nil || strings.Contains(text, "_") {
		return 0, unix.EINVAL
	}
	return int64(count), nil
}

// maxTriggers is how many triggers an event may have. Each of enable_event and
// disable_event has another target.
const maxTriggers = 1024

// SetTrigger adds a trigger, or removes it if the line begins with an exclamation mark.
// Errors: EINVAL, EEXIST if the event has such a trigger, ENODEV if it was removed, ENOSPC
// if it has too many.
func (f *EventFile) SetTrigger(line string) error {
	text, err := parseTrigger(line)
	if err != nil {
		return err
	}
	r := f.event.registry
	if err := r.config.Memory.Admit(eventBytes); err != nil {
		return err
	}
	if text.command.name == "snapshot" && !text.remove {
		if err := f.instance.AllocateSnapshot(); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.removed {
		return unix.ENODEV
	}
	if text.command.name == histName {
		return f.setHistogram(text.command, text.condition, text.remove)
	}
	t, err := f.newTrigger(&text)
	if err != nil {
		return err
	}
	old := f.state.Load().triggers
	at := slices.IndexFunc(old, func(one *trigger) bool {
		return !one.isHist() && one.command.kind == t.command.kind && one.target == t.target
	})
	switch {
	case text.remove && at < 0 && t.target != nil:
		return nil
	case text.remove && at < 0:
		return nil
	case text.remove:
		f.dropTrigger(at)
		return nil
	case at >= 0:
		return unix.EEXIST
	case len(old) >= maxTriggers:
		return unix.ENOSPC
	}
	return f.addTrigger(t)
}

// newTrigger makes a trigger of a parsed line. The registry is locked.
func (f *EventFile) newTrigger(text *triggerText) (*trigger, error) {
	t := &trigger{command: text.command, file: f}
	countText, hasCount := text.parameter, text.parameter != ""
	if text.command.hasTarget {
		parts := strings.SplitN(text.parameter, ":", 3)
		if len(parts) < 2 {
			return nil, unix.EINVAL
		}
		e := f.event.registry.lookup(parts[0], parts[1])
		if e == nil || e.Fixed {
			return nil, unix.EINVAL
		}
		if t.target = f.instance.file(e); t.target == nil {
			return nil, unix.EINVAL
		}
		countText, hasCount = "", len(parts) == 3
		if hasCount {
			countText = parts[2]
		}
	}
	if text.remove {
		return t, nil
	}
	count, err := parseCount(countText, hasCount)
	if err != nil {
		return nil, err
	}
	t.count.Store(count)
	if text.condition == "" {
		return t, nil
	}
	expression, ok := strings.CutPrefix(text.condition, "if")
	if !ok || expression == "" || expression[0] != ' ' && expression[0] != '\t' {
		return nil, unix.EINVAL
	}
	t.filter, err = ParseFilter(f.event, expression[1:])
	return t, err
}

// addTrigger adds a trigger and enables the events that it needs. The registry is locked.
func (f *EventFile) addTrigger(t *trigger) error {
	defer f.event.refreshDirect()
	if t.target != nil {
		if err := t.target.addSoft(1); err != nil {
			return err
		}
	}
	old := f.state.Load()
	wasSilent := old.silent.Load()
	if t.isHist() { // as on Linux, behind the others
		f.setTriggers(append(slices.Clip(old.triggers), t))
	} else {
		f.setTriggers(append([]*trigger{t}, old.triggers...))
	}
	if !f.enabled && len(old.triggers) == 0 && f.soft == 0 {
		f.state.Load().silent.Store(true)
	}
	if err := f.event.publish(); err != nil {
		f.setTriggers(old.triggers)
		old.silent.Store(wasSilent)
		if t.target != nil {
			t.target.addSoft(-1)
		}
		return err
	}
	return nil
}

// dropTrigger removes a trigger. The registry is locked.
func (f *EventFile) dropTrigger(at int) {
	defer f.event.refreshDirect()
	triggers := f.state.Load().triggers
	t := triggers[at]
	f.setTriggers(slices.Delete(slices.Clone(triggers), at, at+1))
	f.event.publish() // it cannot fail: no user was added
	if t.target != nil {
		t.target.addSoft(-1)
	}
}

// ClearTriggers removes all triggers, as an open(2) of the file trigger with O_TRUNC does.
func (f *EventFile) ClearTriggers() {
	r := f.event.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	f.clearTriggers()
}

// clearTriggers is ClearTriggers with the registry locked.
func (f *EventFile) clearTriggers() {
	for len(f.state.Load().triggers) > 0 {
		f.dropTrigger(0)
	}
}

// setTriggers publishes a list of triggers. The registry is locked.
func (f *EventFile) setTriggers(triggers []*trigger) {
	f.state.Store(&fileState{
		silent: f.state.Load().silent, triggers: triggers,
		conditional: slices.ContainsFunc(triggers, func(t *trigger) bool { return t.filter != nil || t.command.after || t.isHist() }),
	})
}

// addSoft adds a trigger that may enable or disable the event, or removes one: while there
// is one, the event's records are produced, and silent decides whether they are stored.
// The registry is locked. Errors: those of the event's owner.
func (f *EventFile) addSoft(n int) error {
	defer f.event.refreshDirect()
	silent := f.state.Load().silent
	wasSilent := silent.Load()
	f.soft += n
	f.references += n
	if n > 0 && f.soft == n && !f.enabled {
		silent.Store(true)
	}
	if f.soft == 0 && n < 0 {
		silent.Store(!f.enabled)
	}
	if err := f.event.publish(); err != nil {
		f.soft -= n
		f.references -= n
		silent.Store(wasSilent)
		return err
	}
	return nil
}
