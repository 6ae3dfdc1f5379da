package ptrace

// resumeRequests resume a tracee.
var resumeRequests = map[int32]request{}
