package ptrace

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
)

// rseqRequests read the registration of rseq(2).
var rseqRequests = map[int32]request{
	unix.PTRACE_GET_RSEQ_CONFIGURATION: {"GET_RSEQ_CONFIGURATION", needsStopped, getRSeqConfiguration},
}

// getRSeqConfiguration stores at most addr bytes of the registration of the tracee at
// data, and returns the size of all of it. EFAULT.
func getRSeqConfiguration(c *call) (uint64, error) {
	r := c.tracee.RSeq()
	configuration := abi.RSeqConfiguration{Address: r.Address, Size: r.Length, Signature: r.Signature}
	b := abi.Bytes(&configuration)
	if err := c.tracer.CopyOut(c.data, b[:min(c.addr, uint64(len(b)))]); err != nil {
		return 0, err
	}
	return uint64(len(b)), nil
}
