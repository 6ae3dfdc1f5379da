package filter

import "strings"

// pattern is the text with which a field is compared. A glob has the wildcards *, ?,
// [...] and \ of Linux's glob_match.
type pattern struct {
	text string
	glob bool
}

func (p *pattern) match(s string) bool {
	if !p.glob {
		return s == p.text
	}
	return globMatch(p.text, s)
}

// hasWildcard reports whether a text of the operator ~ has wildcards.
func hasWildcard(text string) bool { return strings.ContainsAny(text, "*?[\\") }

// globMatch reports whether s matches a glob. The time is bounded by the product of the
// lengths, because only the last * is tried again (Linux: lib/glob.c).
func globMatch(glob, s string) bool {
	g, i := 0, 0
	retryGlob, retryText := -1, 0
	for {
		if g < len(glob) && glob[g] == '*' {
			g++
			retryGlob, retryText = g, i
			continue
		}
		if i == len(s) {
			return g == len(glob)
		}
		if next, ok := matchOne(glob, g, s[i]); ok {
			g, i = next, i+1
			continue
		}
		if retryGlob < 0 {
			return false
		}
		retryText++
		g, i = retryGlob, retryText
	}
}

// matchOne matches one character with the element of the glob at g, which is not a *. It
// returns the index after the element.
func matchOne(glob string, g int, c byte) (next int, ok bool) {
	if g >= len(glob) {
		return g, false
	}
	switch glob[g] {
	case '?':
		return g + 1, true
	case '[':
		if next, inside, ok := matchClass(glob, g+1, c); ok {
			return next, inside
		}
	case '\\':
		if g+1 < len(glob) {
			return g + 2, glob[g+1] == c
		}
	}
	return g + 1, glob[g] == c
}

// matchClass matches a character with the class of characters whose first one is at g. It
// reports not ok if the class has no end: the bracket stands for itself then.
func matchClass(glob string, g int, c byte) (next int, inside, ok bool) {
	inverted := g < len(glob) && glob[g] == '!'
	if inverted {
		g++
	}
	for first := true; ; first = false {
		if g >= len(glob) {
			return 0, false, false
		}
		low := glob[g]
		g++
		if low == ']' && !first {
			return g, inside != inverted, true
		}
		high := low
		if g+1 < len(glob) && glob[g] == '-' && glob[g+1] != ']' {
			high = glob[g+1]
			g += 2
		}
		if low <= c && c <= high {
			inside = true
		}
	}
}
