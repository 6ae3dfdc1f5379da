package amd64

import "testing"

func TestUsageIsDividedInTheRatioOfTheSamples(t *testing.T) {
	var u cpuUsage
	const ms = 1_000_000
	u.update(100*ms, 20*ms, 10*ms, [sampleKinds]int64{userSample: 30 * ms, niceSample: 10 * ms, systemSample: 30 * ms})
	if want := (Usage{User: 30 * ms, Nice: 10 * ms, System: 30 * ms, IRQ: 10 * ms, Idle: 20 * ms}); u.read != want {
		t.Errorf("the usage is %+v, want %+v", u.read, want)
	}
	u.update(110*ms, 20*ms, 10*ms, u.attended)
	if u.read.User != 30*ms || u.read.System != 30*ms {
		t.Errorf("10 ms without a sample were attributed: %+v", u.read)
	}
	u.update(120*ms, 20*ms, 10*ms, [sampleKinds]int64{userSample: 34 * ms, niceSample: 10 * ms, systemSample: 30 * ms})
	if u.read.User != 50*ms || u.read.System != 30*ms {
		t.Errorf("20 ms with a sample of user mode lead to %+v", u.read)
	}
}

func TestUsageNeverGoesBack(t *testing.T) {
	var u cpuUsage
	const ms = 1_000_000
	samples := [sampleKinds]int64{userSample: 4 * ms}
	u.update(100*ms, 90*ms, 0, samples)
	before := u.read
	u.update(100*ms, 80*ms, 0, samples) // the reader missed the end of an idle period
	if u.read != before {
		t.Errorf("the usage went from %+v to %+v", before, u.read)
	}
}

func TestUsageWithoutSamplesBecomesSystemTime(t *testing.T) {
	var u cpuUsage
	u.update(unattributed, 0, 0, [sampleKinds]int64{})
	if u.read.System != unattributed {
		t.Errorf("the usage is %+v, want %d ns of system time", u.read, unattributed)
	}
}
