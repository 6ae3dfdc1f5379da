package spec

import "strings"

// Pattern is the name of a function, or a glob: * stands for any characters, ? for one
// character. The star of a Go receiver, (*T), is literal.
type Pattern string

// Glob reports whether the pattern can match more than its own text.
func (p Pattern) Glob() bool {
	for i := range len(p) {
		if p.wild(i) {
			return true
		}
	}
	return false
}

// wild reports whether the character at i is a wildcard.
func (p Pattern) wild(i int) bool {
	if p[i] == '?' {
		return true
	}
	return p[i] == '*' && !(i >= 2 && p[i-1] == '(' && p[i-2] == '.' && i+1 < len(p) && letter(p[i+1]))
}

func letter(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// Match reports whether the pattern matches the whole name. Its time is proportional to
// the product of the lengths.
func (p Pattern) Match(name string) bool {
	i, j := 0, 0
	star, mark := -1, 0 // where matching continues after the last *
	for j < len(name) {
		switch {
		case i < len(p) && p[i] == '*' && p.wild(i):
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == name[j] || p[i] == '?'):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' && p.wild(i) {
		i++
	}
	return i == len(p)
}

// Nearest returns up to n names that resemble the pattern, the most similar first. It
// compares ends of names, letters without case, and the edit distance.
func (p Pattern) Nearest(names []string, n int) []string {
	type candidate struct {
		name string
		cost int
	}
	var best []candidate
	want := strings.ToLower(string(p))
	limit := len(want)/3 + 1
	for _, name := range names {
		cost := distance(want, strings.ToLower(name), limit)
		if cost > limit {
			continue
		}
		at := len(best)
		for at > 0 && best[at-1].cost > cost {
			at--
		}
		if at >= n {
			continue
		}
		best = append(best, candidate{})
		copy(best[at+1:], best[at:])
		best[at] = candidate{name, cost}
		best = best[:min(len(best), n)]
	}
	found := make([]string, len(best))
	for i := range best {
		found[i] = best[i].name
	}
	return found
}

// distance returns the edit distance of two texts, or more than limit if it exceeds
// limit. A name that ends with the wanted text after a separator costs 1.
func distance(want, name string, limit int) int {
	if strings.HasSuffix(name, "."+want) || strings.HasSuffix(name, ":"+want) || strings.HasSuffix(name, "_"+want) {
		return 1
	}
	if len(name)-len(want) > limit || len(want)-len(name) > limit {
		return limit + 1
	}
	row := make([]int, len(name)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(want); i++ {
		diagonal := row[0]
		row[0] = i
		least := i
		for j := 1; j <= len(name); j++ {
			cost := diagonal
			if want[i-1] != name[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
			least = min(least, row[j])
		}
		if least > limit {
			return limit + 1
		}
	}
	return row[len(name)]
}
