// Package shrink makes a failing scenario smaller while it fails with the same cause: fewer faults,
// actions and nodes, shorter times, rounder numbers. It runs nothing itself and knows no service.
package shrink

// Min finds a small subset of the numbers 0 to n-1 that still fails; the whole set does. It is the
// algorithm ddmin of Zeller and Hildebrandt ("Simplifying and isolating failure-inducing input",
// 2002). failing is given candidates, each in ascending order, and returns the index of the first
// that fails, -1 if none does; it may try them at once. Without any one of the numbers that are
// returned nothing fails, as far as failing is a function of its argument.
func Min(n int, failing func(candidates [][]int) int) []int {
	left := make([]int, n)
	for i := range left {
		left[i] = i
	}
	if n == 0 || failing([][]int{{}}) == 0 {
		return nil
	}
	for chunks := 2; len(left) > 1; {
		candidates := split(left, chunks)
		parts := len(candidates)
		if chunks > 2 { // of two halves each is the rest of the other
			candidates = append(candidates, rests(left, candidates)...)
		}
		switch i := failing(candidates); {
		case i < 0 && chunks == len(left):
			return left
		case i < 0:
			chunks = min(2*chunks, len(left))
		case i < parts:
			left, chunks = candidates[i], 2
		default:
			left, chunks = candidates[i], max(chunks-1, 2)
		}
		chunks = min(chunks, len(left))
	}
	return left
}

// split cuts a list into parts of about equal length.
func split(list []int, parts int) (out [][]int) {
	for i := range parts {
		out = append(out, list[i*len(list)/parts:(i+1)*len(list)/parts])
	}
	return out
}

// rests are the list without each of its parts, which follow each other in it.
func rests(list []int, parts [][]int) (out [][]int) {
	from := 0
	for _, p := range parts {
		rest := append(append([]int{}, list[:from]...), list[from+len(p):]...)
		out = append(out, rest)
		from += len(p)
	}
	return out
}
