package goos

import "slowpath/arch/amd64"

// The runtime's timers start its network poller, which creates an epoll instance
// and an eventfd that wakes it. There is one of each and nothing else to poll.
const (
	standardOutput = 1
	standardError  = 2
	epollFD        = 100
	eventFD        = 101
)

// poller is the state of the two.
var poller struct {
	count uint64 // the eventfd's counter
	data  uint64 // the eventfd's epoll_data, from epoll_ctl
}

// epollEvent is struct epoll_event, which is packed: the data is not aligned.
type epollEvent struct {
	events   uint32
	low, top uint32
}

const epollIn = 1

func epollCreate1(*thread, *amd64.Frame) uint64 { return epollFD }

func eventfd2(*thread, *amd64.Frame) uint64 { return eventFD }

func epollCtl(_ *thread, f *amd64.Frame) uint64 {
	if arg2(f) != eventFD {
		return fail(errPERM)
	}
	e := at[epollEvent](arg3(f))
	poller.data = uint64(e.low) | uint64(e.top)<<32
	return 0
}

func epollPwait(_ *thread, f *amd64.Frame) uint64 {
	if poller.count > 0 {
		return report(arg1(f))
	}
	timeout := int32(arg3(f)) // milliseconds, negative for none
	if timeout == 0 {
		return 0
	}
	deadline := never
	if timeout > 0 {
		deadline = Nanotime() + uint64(timeout)*1_000_000
	}
	f.RAX = 0
	block(waitPoll, arg1(f), deadline)
	return switched
}

// report writes the only possible event and returns the number of events, 1.
func report(events uint64) uint64 {
	*at[epollEvent](events) = epollEvent{epollIn, uint32(poller.data), uint32(poller.data >> 32)}
	return 1
}

func read(_ *thread, f *amd64.Frame) uint64 {
	if arg0(f) != eventFD || arg2(f) < 8 {
		return fail(errBADF)
	}
	if poller.count == 0 {
		return fail(errAGAIN)
	}
	*at[uint64](arg1(f)) = poller.count
	poller.count = 0
	return 8
}

func write(_ *thread, f *amd64.Frame) uint64 {
	switch arg0(f) {
	case standardOutput, standardError:
		return consoleWrite(arg1(f), arg2(f))
	case eventFD:
		poller.count++
		wakePollers()
		return 8
	}
	return fail(errBADF)
}

func wakePollers() {
	for i := sleepHead; i != none; {
		t := &threads[i]
		i = t.next
		if t.wait == waitPoll {
			wake(t, report(t.object))
		}
	}
}
