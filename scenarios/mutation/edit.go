package main

import (
	"cmp"
	"slices"
	"strings"
)

// edits changes a text at many places at once, some within others, without
// moving a line. Offsets are those of the original.
type edits struct {
	wraps    []wrap
	replaces []replace
}

// wrap puts something before and after a range.
type wrap struct {
	start, end    int
	before, after string
	order         int // of wraps of one range the first is the innermost
}

// replace puts something in place of a range, in which nothing else changes.
type replace struct {
	start, end int
	with       string
}

func (e *edits) wrap(start, end int, before, after string) {
	e.wraps = append(e.wraps, wrap{start, end, before, after, len(e.wraps)})
}

func (e *edits) replace(start, end int, with string) {
	e.replaces = append(e.replaces, replace{start, end, with})
}

func (e *edits) empty() bool { return len(e.wraps) == 0 && len(e.replaces) == 0 }

// apply returns the changed text.
func (e *edits) apply(text []byte) []byte {
	before, after := map[int]string{}, map[int]string{}
	inner := func(a, b wrap) int { // the shorter of two that begin or end together is within the other
		return cmp.Or(cmp.Compare(a.end-a.start, b.end-b.start), cmp.Compare(a.order, b.order))
	}
	for _, w := range slices.SortedFunc(slices.Values(e.wraps), inner) {
		before[w.start] = w.before + before[w.start]
		after[w.end] += w.after
	}
	gone := map[int]replace{}
	for _, r := range e.replaces {
		gone[r.start] = r
	}
	var out strings.Builder
	for i := 0; i <= len(text); i++ {
		out.WriteString(after[i])
		out.WriteString(before[i])
		if r, ok := gone[i]; ok {
			out.WriteString(r.with)
			i = r.end - 1
			continue
		}
		if i < len(text) {
			out.WriteByte(text[i])
		}
	}
	return []byte(out.String())
}
