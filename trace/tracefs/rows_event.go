package tracefs

import (
	"strconv"

	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// headerPage is the file header_page: the format of the pages of trace_pipe_raw.
const headerPage = `	field: u64 timestamp;	offset:0;	size:8;	signed:0;
	field: local_t commit;	offset:8;	size:8;	signed:1;
	field: int overwrite;	offset:8;	size:1;	signed:1;
	field: char data;	offset:16;	size:4080;	signed:1;
`

// headerEvent is the file header_event: the format of the entries of a page.
const headerEvent = `# compressed entry header
	type_len    :    5 bits
	time_delta  :   27 bits
	array       :   32 bits

	padding     : type == 29
	time_extend : type == 30
	time_stamp : type == 31
	data max type_len  == 28
`

// enableRow is the file enable of all events, or of a system.
var enableRow = Row{Name: "enable", Mode: writeMode,
	read:  func(s *subject) (string, error) { return s.instance.EnabledState(s.system) + "\n", nil },
	write: boolean(func(s *subject, on bool) error { return s.instance.SetEnabled(s.system, "", on) })}

// eventsRows are the files of the directory events.
var eventsRows = []Row{
	enableRow,
	{Name: "header_event", Mode: readMode, read: constant(headerEvent)},
	{Name: "header_page", Mode: readMode, read: constant(headerPage)},
}

// systemRows are the files of the directory of a system.
var systemRows = []Row{
	enableRow,
	{Name: "filter", Mode: writeMode,
		read:  func(s *subject) (string, error) { return s.instance.SystemFilter(s.system) + "\n", nil },
		write: command(func(s *subject, text string) error { return s.instance.SetSystemFilter(s.system, text) })},
}

var (
	formatRow = Row{Name: "format", Mode: readMode, read: func(s *subject) (string, error) { return string(s.event.Event().Format()), nil }}
	idRow     = Row{Name: "id", Mode: readMode, read: func(s *subject) (string, error) { return strconv.Itoa(s.event.Event().ID()) + "\n", nil }}
)

// fixedEventRows are the files of an event that only has a format.
var fixedEventRows = []Row{formatRow}

// printRows are the files of the event print, whose records trace_marker makes.
var printRows = []Row{formatRow, histRow, idRow, triggerRow}

// histRow has the histograms of an event, and triggerRow its triggers.
var (
	histRow    = Row{Name: "hist", Mode: readMode, read: func(s *subject) (string, error) { return s.event.Histograms() }}
	triggerRow = Row{Name: "trigger", Mode: writeMode,
		read:     func(s *subject) (string, error) { return s.event.Triggers() },
		write:    command(func(s *subject, text string) error { return errnoOf(s.event.SetTrigger(text)) }),
		truncate: func(s *subject, _ fs.Caller) error { s.event.ClearTriggers(); return nil }}
)

// eventRows are the files of an event.
var eventRows = []Row{
	{Name: "enable", Mode: writeMode, read: newline((*subject).enabled), write: boolean(func(s *subject, on bool) error { return s.event.Enable(on) })},
	{Name: "filter", Mode: writeMode, read: newline((*subject).filter),
		write: command(func(s *subject, text string) error { return errnoOf(s.event.SetFilter(text)) })},
	formatRow,
	histRow,
	idRow,
	triggerRow,
}

func (s *subject) enabled() (string, error) { return s.event.Enabled() }

func (s *subject) filter() (string, error) { return s.event.Filter() }

// newline returns a read function for the text of another one and a newline.
func newline(read func(s *subject) (string, error)) func(s *subject) (string, error) {
	return func(s *subject) (string, error) {
		text, err := read(s)
		if err != nil {
			return "", err
		}
		return text + "\n", nil
	}
}

// errnoOf returns the errno of an error, because a system call returns an unix.Errno.
func errnoOf(err error) error {
	if wrapped, ok := err.(interface{ Unwrap() error }); ok {
		return wrapped.Unwrap()
	}
	if _, ok := err.(unix.Errno); err != nil && !ok {
		return unix.EINVAL
	}
	return err
}
