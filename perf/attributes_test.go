package perf

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi"
)

func TestUnknownAttributesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(raw []byte) []byte
		want   error
	}{
		"all zero":              {func(raw []byte) []byte { return raw }, nil},
		"an unknown field":      {func(raw []byte) []byte { return append(raw, 1) }, unix.E2BIG},
		"zeros behind":          {func(raw []byte) []byte { return append(raw, 0, 0) }, nil},
		"a reserved field":      {func(raw []byte) []byte { raw[reserved2] = 1; return raw }, unix.EINVAL},
		"an unknown bit":        {func(raw []byte) []byte { raw[47] = 0x80; return raw }, unix.EINVAL},
		"an unknown sample":     {func(raw []byte) []byte { raw[31] = 0x80; return raw }, unix.EINVAL},
		"branches":              {func(raw []byte) []byte { raw[25] = 0x08; return raw }, unix.EOPNOTSUPP},
		"registers without any": {func(raw []byte) []byte { raw[25] = 0x10; return raw }, unix.EINVAL},
	} {
		if _, err := decodeAttributes(c.change(make([]byte, ownSize))); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// FuzzAttributes checks that accepted attributes have only what the kernel knows.
func FuzzAttributes(f *testing.F) {
	f.Add(make([]byte, firstSize))
	f.Add(abi.Bytes(&unix.PerfEventAttr{Sample_type: unix.PERF_SAMPLE_STACK_USER, Sample_stack_user: 8}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) < firstSize {
			return
		}
		a, err := decodeAttributes(raw)
		if err != nil {
			return
		}
		if a.Bits&^knownBits != 0 || a.Sample_stack_user%8 != 0 && a.samples(unix.PERF_SAMPLE_STACK_USER) {
			t.Fatalf("accepted %+v", a.PerfEventAttr)
		}
	})
}
