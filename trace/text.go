package trace

import (
	"fmt"
	"strconv"
	"strings"
)

// isSpace is C's isspace.
func isSpace(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' }

func trimSpaces(text string) string { return strings.TrimFunc(text, isSpace) }

func trimRight(text string) string { return strings.TrimRightFunc(text, isSpace) }

func spaces(n int) string { return strings.Repeat(" ", n) }

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// text formats a time of the clock as the file stats does.
func (c *traceClock) text(time uint64) string {
	if c.nanoseconds {
		return seconds(time)
	}
	return strconv.FormatUint(time, 10)
}

// seconds formats a time in nanoseconds as seconds and microseconds.
func seconds(time uint64) string {
	microseconds := time / 1000
	return fmt.Sprintf("%5d.%06d", microseconds/1e6, microseconds%1e6)
}
