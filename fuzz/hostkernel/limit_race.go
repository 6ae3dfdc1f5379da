//go:build race

package hostkernel

import "time"

// timeLimit is the Limit of RunInput under the race detector.
const timeLimit = 100 * time.Millisecond
