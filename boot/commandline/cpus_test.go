package commandline

import "testing"

func TestListsOfCPUs(t *testing.T) {
	for list, want := range map[string]CPUs{
		"0": 1, "3": 8, "1-3": 0xe, "1-3,5": 0x2e, "5,1": 0x22, "0-7:2/4": 0x33, "0-7:1/2,7": 0xd5,
		"all": ^CPUs(0), "62-N": 3 << 62, "N": 1 << 63, "4-4": 0x10,
	} {
		var got CPUs
		if err := got.parse(list); err != nil || got != want {
			t.Errorf("%q is %#x, %v, want %#x", list, uint64(got), err, uint64(want))
		}
	}
	for _, list := range []string{"", "x", "-1", "1-", "3-1", "64", "1,,2", "1-3:0/2", "1-3:3/2", "1:1/2", "1-3:1", "1-3:/", "99999999999"} {
		var got CPUs
		if err := got.parse(list); err == nil || got != 0 {
			t.Errorf("%q is %#x and no error", list, uint64(got))
		}
	}
}

func TestIsolationFlagsChooseTheSets(t *testing.T) {
	for line, want := range map[string][2]CPUs{
		"isolcpus=2": {4, 0}, "isolcpus=domain,2": {4, 0}, "isolcpus=nohz,2": {0, 4}, "isolcpus=nohz,domain,1-2": {6, 6},
		"isolcpus=managed_irq,2": {0, 0}, "nohz_full=1,2": {0, 6}, "nohz_full=1 isolcpus=3": {8, 2},
	} {
		o, err := Parse(line)
		if err != nil || o.Isolated != want[0] || o.NoHZ != want[1] {
			t.Errorf("%q isolates %v and gives %v no tick, %v", line, o.Isolated, o.NoHZ, err)
		}
	}
	for _, line := range []string{"isolcpus=", "isolcpus=nohz", "isolcpus=fast,1", "nohz_full=", "nohz_full=nohz,1"} {
		if _, err := Parse(line); err == nil {
			t.Errorf("%q has no error", line)
		}
	}
}

func TestTheFirstCPUIsNeverIsolated(t *testing.T) {
	if got := CPUs(0xff).Of(4); got != 0xe {
		t.Errorf("0-7 of 4 CPUs are %#x, want 0xe", got)
	}
	if got := ^CPUs(0); got.Of(64) != uint64(got)&^1 {
		t.Errorf("all of 64 CPUs are %#x", got.Of(64))
	}
}

func FuzzListsOfCPUs(f *testing.F) {
	for _, seed := range []string{"1-3,5", "0-31:2/8", "all", "N", "62-N", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		var set, again CPUs
		if set.parse(list) != nil || set == 0 {
			return
		}
		if err := again.parse(set.String()); err != nil || again != set {
			t.Errorf("%q is %#x, but its list %q is %#x, %v", list, uint64(set), set, uint64(again), err)
		}
	})
}
