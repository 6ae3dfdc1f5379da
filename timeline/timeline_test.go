package timeline

import (
	"reflect"
	"strings"
	"testing"

	"slowpath/entry"
)

// samples returns a batch with one record of each kind, and the records.
func samples() (batch []byte, want []Record) {
	h := Header{CPU: 3, Task: 77, Time: 1 << 40}
	narrow := Call{Number: 3, ABI: entry.I386, Arguments: []uint64{1, 2, 1 << 63}}
	call := Call{Duration: 5, Number: -1, Ended: true, Result: -38, Arguments: []uint64{1, 2, 1 << 63}}
	fault := Fault{Address: 1, IP: 2, ErrorCode: 7, Offset: 4096, File: "/bin/x"}
	name := Name{Process: 76, Comm: "sh"}
	visit := entry.Visit{VisitHeader: entry.VisitHeader{Begin: 1 << 40, End: 1<<40 + 9, Task: 77, Number: 14, CPU: 3, Kind: entry.ByException, ByIRET: true}}
	visit.Step(entry.SigPending, 1<<40+1, 1<<40+5)
	b := AppendBatchHeader(nil, Clock{Start: 5, Scale: 1 << 33}, 9)
	add := func(k Kind, next []byte, r Record) {
		r.Header, r.Kind, r.length = h, k, uint16(len(next)-len(b))
		b, want = next, append(want, r)
	}
	add(KindCall, AppendCall(b, h, &call), Record{Call: call})
	add(KindCall, AppendCall(b, h, &narrow), Record{Call: narrow})
	add(KindVisit, AppendVisit(b, h, &visit), Record{Visit: visit})
	add(KindRun, AppendRun(b, h), Record{})
	add(KindSleep, AppendSleep(b, h, Sleep{Runnable: true}), Record{Sleep: Sleep{Runnable: true}})
	add(KindWake, AppendWake(b, h, Wake{Woken: 5}), Record{Wake: Wake{Woken: 5}})
	signal := Signal{Delivered: true, Number: 11, Target: 77, Code: -6}
	add(KindSignal, AppendSignal(b, h, signal), Record{Signal: signal})
	add(KindFault, AppendFault(b, h, &fault), Record{Fault: fault})
	add(KindName, AppendName(b, h, &name), Record{Name: name})
	add(KindExit, AppendExit(b, h), Record{})
	add(KindProbe, AppendProbe(b, h, Probe{ID: 4}), Record{Probe: Probe{ID: 4}})
	return b, want
}

func TestRecordsSurviveEncoding(t *testing.T) {
	text, want := samples()
	batch, err := Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if batch.Lost != 9 || batch.Nanoseconds(7) != 4 {
		t.Errorf("%d records were lost, and 2 ticks are %d ns; want 9 and 4", batch.Lost, batch.Nanoseconds(7))
	}
	for i := range want {
		var r Record
		if more, err := batch.Next(&r); !more || err != nil {
			t.Fatalf("record %d: %v, %v", i, more, err)
		}
		r.arguments = [MaxArguments]uint64{}
		if r.Kind == KindCall {
			r.Call.Arguments = []uint64{1, 2, 1 << 63}
		}
		if !reflect.DeepEqual(r, want[i]) {
			t.Errorf("record %d is\n%+v, want\n%+v", i, r, want[i])
		}
	}
	if more, err := batch.Next(new(Record)); more || err != nil {
		t.Errorf("after the last record: %v, %v", more, err)
	}
}

func TestLongNamesLoseTheirBeginning(t *testing.T) {
	long := strings.Repeat("a/", MaxText) + "end"
	b := AppendFault(AppendBatchHeader(nil, Clock{}, 0), Header{}, &Fault{File: long})
	if n := len(b) - BatchHeader; n > MaxRecord {
		t.Fatalf("a record has %d bytes, more than MaxRecord", n)
	}
	batch, _ := Decode(b)
	var r Record
	if _, err := batch.Next(&r); err != nil || r.Fault.File != long[len(long)-MaxText:] {
		t.Errorf("the name is %q, %v", r.Fault.File, err)
	}
}

func FuzzDecode(f *testing.F) {
	text, _ := samples()
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		batch, err := Decode(b)
		if err != nil {
			return
		}
		for records := 0; ; records++ {
			var r Record
			if more, err := batch.Next(&r); !more || err != nil {
				return
			}
			if records > len(b)/headerSize {
				t.Fatal("there are more records than bytes for headers")
			}
		}
	})
}
