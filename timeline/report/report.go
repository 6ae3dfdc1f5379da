// Package report shows the timeline on the host: as a trace for Perfetto, as a table, or
// summed up for a live view.
package report

import (
	"strconv"

	"golang.org/x/sys/unix"

	"slowpath/entry"
	"slowpath/timeline"
)

// Sink gets the records of a run.
type Sink interface {
	// Record takes a record, which is valid during the call. c converts its times.
	Record(c timeline.Clock, r *timeline.Record) error
	// Lost counts records that the kernel could not send.
	Lost(n uint64)
	// Close ends the output. No record comes after it.
	Close() error
}

// Reader decodes batches for a sink.
type Reader struct {
	sink Sink
	err  error // of the first batch that could not be decoded or written
}

// NewReader returns a reader for a sink.
func NewReader(s Sink) *Reader { return &Reader{sink: s} }

// Write takes one batch from the kernel. After an error it takes no more.
func (r *Reader) Write(p []byte) (int, error) {
	if r.err == nil {
		r.err = r.batch(p)
	}
	if r.err != nil {
		return 0, r.err
	}
	return len(p), nil
}

func (r *Reader) batch(p []byte) error {
	batch, err := timeline.Decode(p)
	if err != nil {
		return err
	}
	r.sink.Lost(batch.Lost)
	var record timeline.Record
	for {
		more, err := batch.Next(&record)
		if !more || err != nil {
			return err
		}
		if err := r.sink.Record(batch.Clock, &record); err != nil {
			return err
		}
	}
}

// Close closes the sink. It returns the first error of the run.
func (r *Reader) Close() error {
	if err := r.sink.Close(); r.err == nil {
		r.err = err
	}
	return r.err
}

// Names are the names of what records have as numbers. All are required.
type Names struct {
	// Call and Call32 return the name of a system call of the ABI X86_64 and of I386.
	Call, Call32 func(number int) string
	// Parameters and Parameters32 return the names of its arguments, as far as they are known.
	Parameters, Parameters32 func(number int) []string
	// Probe returns the name of a probe of the host command.
	Probe func(id uint32) string
}

// call returns the name of the call of a record.
func (n *Names) call(c *timeline.Call) string {
	if c.ABI == entry.I386 {
		return n.Call32(int(c.Number))
	}
	return n.Call(int(c.Number))
}

// parameters returns the names of the arguments of the call of a record.
func (n *Names) parameters(c *timeline.Call) []string {
	if c.ABI == entry.I386 {
		return n.Parameters32(int(c.Number))
	}
	return n.Parameters(int(c.Number))
}

// restart are the restart codes that a call can return to the kernel's signal delivery
// (include/linux/errno.h).
var restart = map[int64]string{512: "ERESTARTSYS", 513: "ERESTARTNOINTR", 514: "ERESTARTNOHAND", 516: "ERESTART_RESTARTBLOCK"}

// result returns the text of a call's result: "?" if the task exits in the call.
func result(c *timeline.Call) string {
	const lastErrno = 4095
	switch {
	case !c.Ended:
		return "?"
	case c.Result >= 0 || c.Result < -lastErrno:
		return number(uint64(c.Result))
	}
	if name := restart[-c.Result]; name != "" {
		return name
	}
	if name := unix.ErrnoName(unix.Errno(-c.Result)); name != "" {
		return name
	}
	return strconv.FormatInt(c.Result, 10)
}

// number returns a register as text: small values as decimal numbers, which may be
// negative, others as hexadecimal ones.
func number(v uint64) string {
	const small = 1 << 20
	if signed := int64(v); signed > -small && signed < small {
		return strconv.FormatInt(signed, 10)
	}
	if signed := int64(int32(v)); v>>32 == 0 && signed < 0 && signed > -small {
		return strconv.FormatInt(signed, 10) // a 32-bit argument
	}
	return "0x" + strconv.FormatUint(v, 16)
}

// parameter returns the name of the i-th argument of a call whose arguments have names.
func parameter(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "arg" + strconv.Itoa(i)
}

// appendArguments appends the arguments of a call with their names, separated by commas.
func appendArguments(b []byte, c *timeline.Call, names []string) []byte {
	for i, a := range c.Arguments {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(append(b, parameter(names, i)...), '=')
		b = append(b, number(a)...)
	}
	return b
}

// signalName returns the name of a signal.
func signalName(n uint8) string {
	if name := unix.SignalName(unix.Signal(n)); name != "" {
		return name
	}
	return "signal " + strconv.Itoa(int(n))
}
