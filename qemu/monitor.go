package qemu

import (
	"encoding/json"
	"fmt"
	"io"
)

// Monitor speaks QMP, QEMU's machine protocol: one JSON object a message (see
// QEMU's docs/interop/qmp-spec). One goroutine may use it at a time.
type Monitor struct {
	in  *json.Decoder
	out *json.Encoder
}

// message is any message that QEMU sends.
type message struct {
	Greeting json.RawMessage `json:"QMP"`
	Return   json.RawMessage `json:"return"`
	Event    string          `json:"event"`
	Error    *struct {
		Class       string `json:"class"`
		Description string `json:"desc"`
	} `json:"error"`
}

// command is a message to QEMU.
type command struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
}

// NewMonitor takes the monitor's stream over and performs the handshake. It
// fails if the stream ends or what greets is no QEMU.
func NewMonitor(stream io.ReadWriter) (*Monitor, error) {
	m := &Monitor{in: json.NewDecoder(stream), out: json.NewEncoder(stream)}
	var greeting message
	if err := m.in.Decode(&greeting); err != nil {
		return nil, fmt.Errorf("QEMU's monitor does not answer: %w", err)
	}
	if greeting.Greeting == nil {
		return nil, fmt.Errorf("QEMU's monitor does not speak QMP")
	}
	_, err := m.Execute("qmp_capabilities", nil)
	return m, err
}

// Execute runs a command and returns what it returned. Arguments, if not nil,
// must marshal to a JSON object. Events that arrive meanwhile are dropped. It
// fails if the stream ends or QEMU refuses the command, and waits without limit
// for the answer.
func (m *Monitor) Execute(name string, arguments any) (json.RawMessage, error) {
	if err := m.out.Encode(command{Execute: name, Arguments: arguments}); err != nil {
		return nil, fmt.Errorf("cannot send %s to QEMU's monitor: %w", name, err)
	}
	for {
		var answer message
		if err := m.in.Decode(&answer); err != nil {
			return nil, fmt.Errorf("QEMU's monitor gave no answer to %s: %w", name, err)
		}
		if answer.Error != nil {
			return nil, fmt.Errorf("QEMU's monitor refused %s: %s", name, answer.Error.Description)
		}
		if answer.Return != nil {
			return answer.Return, nil
		}
	}
}
