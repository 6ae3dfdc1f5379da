package qemu

import (
	"encoding/json"
	"fmt"
	"io"
)

// Monitor is a client of QMP, QEMU's machine protocol, in which each message is
// a JSON object (QEMU, docs/interop/qmp-spec). One goroutine may use it at a
// time.
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

// NewMonitor performs the QMP handshake on the stream, which it then owns. It
// fails if the stream ends or the other side does not send QMP's greeting.
func NewMonitor(stream io.ReadWriter) (*Monitor, error) {
	m := &Monitor{in: json.NewDecoder(stream), out: json.NewEncoder(stream)}
	var greeting message
	if err := m.in.Decode(&greeting); err != nil {
		return nil, fmt.Errorf("QEMU's monitor sent no greeting: %w", err)
	}
	if greeting.Greeting == nil {
		return nil, fmt.Errorf("QEMU's monitor does not speak QMP")
	}
	_, err := m.Execute("qmp_capabilities", nil)
	return m, err
}

// Execute runs a QMP command and returns its result. Arguments, if not nil, must
// marshal to a JSON object. Events that arrive before the answer are dropped.
// Execute fails if the stream ends or QEMU refuses the command. It waits for the
// answer without a time limit.
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
