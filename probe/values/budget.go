package values

// budget limits how many types a recursive function looks at: in a damaged file a structure
// may have itself as a part, many times.
type budget int

// maxTypes is the budget for one value.
const maxTypes budget = 4096

// spend takes one from the budget. It reports false if nothing is left.
func (b *budget) spend() bool {
	*b--
	return *b >= 0
}
