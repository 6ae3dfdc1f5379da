//go:build !race

package hostkernel

import "time"

// timeLimit is the Limit of RunInput. Few programs need it: those whose timers expire
// all the time.
const timeLimit = 30 * time.Millisecond
