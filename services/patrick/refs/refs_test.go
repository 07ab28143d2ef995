package refs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taucloud/tau/services/patrick/refs"
)

const head = "refs/heads/"

func commit(n int) string { return fmt.Sprintf("%040x", n) }

func anyRef(string) bool { return true }

// model is a forge, and a patrick that has seen it.
type model struct {
	forge map[string]string
	known map[string]refs.Known
}

func (m *model) seen() (all []refs.Seen) {
	for name, c := range m.forge {
		all = append(all, refs.Seen{Name: name, Commit: c})
	}
	return all
}

func (m *model) list() (all []refs.Known) {
	for _, k := range m.known {
		all = append(all, k)
	}
	return all
}

// look asks the forge, and keeps what it said.
func (m *model) look(t *rapid.T, events map[string]refs.Move) {
	moves := refs.Moves(m.list(), m.seen(), anyRef)
	assert.True(t, slices.IsSortedFunc(moves, func(a, b refs.Move) int { return strings.Compare(a.Ref, b.Ref) }))
	assert.Equal(t, moves, refs.Moves(m.list(), m.seen(), anyRef), "asked twice, it says something else")
	for _, move := range moves {
		assert.NotEqual(t, move.Before, move.After)
		assert.Equal(t, m.known[move.Ref].Commit, move.Before)
		assert.Equal(t, m.forge[move.Ref], move.After)
		id := move.EventID("site")
		assert.NotContains(t, events, id, "two moves of one name")
		events[id] = move
		m.known[move.Ref] = move.Known()
	}
}

// TestWhatTheForgeSaysIsKnown: after a look each ref is known where the forge has it, and another look finds nothing,
// whatever was pushed, reset and deleted in between, and however seldom anybody looked. No two moves have one name.
func TestWhatTheForgeSaysIsKnown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{forge: map[string]string{}, known: map[string]refs.Known{}}
		events := map[string]refs.Move{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			name := head + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "ref")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				delete(m.forge, name)
			case 1:
				m.look(t, events)
			default:
				m.forge[name] = commit(rapid.IntRange(1, 3).Draw(t, "commit"))
			}
		}
		m.look(t, events)
		for name, k := range m.known {
			assert.Equal(t, m.forge[name], k.Commit)
		}
		assert.Empty(t, refs.Moves(m.list(), m.seen(), anyRef))
	})
}

// TestTwoSidesOfAPartition see the same moves by the same names as long as they know the same, and come together again.
func TestTwoSidesOfAPartition(t *testing.T) {
	drawn := rapid.Custom(func(t *rapid.T) refs.Known {
		c := ""
		if n := rapid.IntRange(0, 3).Draw(t, "commit"); n > 0 {
			c = commit(n)
		}
		return refs.Known{Name: head + "main", Commit: c, Moves: rapid.Uint64Range(1, 3).Draw(t, "moves")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawn.Draw(t, "a"), drawn.Draw(t, "b"), drawn.Draw(t, "c")
		assert.Equal(t, refs.Merge(a, b), refs.Merge(b, a))
		assert.Equal(t, refs.Merge(a, refs.Merge(b, c)), refs.Merge(refs.Merge(a, b), c))
		assert.Equal(t, a, refs.Merge(a, a))
		assert.Equal(t, a, refs.Merge(refs.Known{}, a))
		assert.GreaterOrEqual(t, refs.Merge(a, b).Moves, max(a.Moves, b.Moves))
		now := []refs.Seen{{Name: head + "main", Commit: commit(4)}}
		assert.Equal(t, refs.Moves([]refs.Known{a, b}, now, anyRef), refs.Moves([]refs.Known{b, a}, now, anyRef))
	})
}

// TestAResetBranchIsPushedAgain: from the same commit to the same commit is another push.
func TestAResetBranchIsPushedAgain(t *testing.T) {
	k := refs.Known{Name: head + "main", Commit: commit(1), Moves: 1}
	ids := map[string]bool{}
	for _, c := range []int{2, 1, 2, 1} {
		moves := refs.Moves([]refs.Known{k}, []refs.Seen{{Name: k.Name, Commit: commit(c)}}, anyRef)
		require.Len(t, moves, 1)
		ids[moves[0].EventID("site")] = true
		k = moves[0].Known()
	}
	assert.Len(t, ids, 4)
}

// TestNamesOfMoves differ with each part, and parts do not run together.
func TestNamesOfMoves(t *testing.T) {
	m := refs.Move{Ref: "ab", Before: "c", After: "d", Number: 1}
	ids := []string{m.EventID("r"), m.EventID("ra"), refs.Move{Ref: "a", Before: "bc", After: "d", Number: 1}.EventID("r"),
		refs.Move{Ref: "ab", Before: "c", After: "d", Number: 2}.EventID("r"), refs.Move{Ref: "ab", Before: "d", After: "c", Number: 1}.EventID("r"),
		refs.Move{Ref: "b", Before: "c", After: "d", Number: 1}.EventID("ra")}
	slices.Sort(ids)
	assert.Len(t, slices.Compact(ids), 6)
}

// TestWhatDoesNotCount: no commits, no names, what nobody follows.
func TestWhatDoesNotCount(t *testing.T) {
	follow, err := refs.Branches("main", "release/*")
	require.NoError(t, err)
	all := []refs.Seen{
		{head + "main", commit(1)}, {head + "release/1", commit(1)}, {head + "release/1/x", commit(1)}, {head + "other", commit(1)},
		{"refs/tags/main", commit(1)}, {"main", commit(1)}, {"", commit(1)}, {head + strings.Repeat("x", 256), commit(1)},
		{head + "release/2", "HEAD"}, {head + "release/3", strings.ToUpper(strings.Repeat("a", 40))}, {head + "release/4", commit(1)[1:]},
	}
	moves := refs.Moves(nil, all, follow)
	assert.Equal(t, []refs.Move{{head + "main", "", commit(1), 1}, {head + "release/1", "", commit(1), 1}}, moves)

	gone := []refs.Known{{head + "main", commit(1), 7}, {head + "other", commit(1), 7}}
	assert.Equal(t, []refs.Move{{head + "main", commit(1), "", 8}}, refs.Moves(gone, nil, follow), "what is not followed any more is not deleted")

	for _, bad := range []string{"", "[", `a\`} {
		_, err := refs.Branches("main", bad)
		assert.ErrorContains(t, err, bad+" is no pattern")
	}
}

// TestBounds: a repository with too many refs is followed in part, and those that are known stay.
func TestBounds(t *testing.T) {
	known := []refs.Known{{head + "zzz", commit(1), 1}}
	all := []refs.Seen{{head + "zzz", commit(2)}}
	for n := range refs.RefsMax + 10 {
		all = append(all, refs.Seen{Name: fmt.Sprintf("%s%05d", head, n), Commit: commit(1)})
	}
	moves := refs.Moves(known, all, anyRef)
	require.Len(t, moves, refs.RefsMax)
	assert.Equal(t, head+"zzz", moves[len(moves)-1].Ref)
	assert.Equal(t, fmt.Sprintf("%s%05d", head, refs.RefsMax-2), moves[len(moves)-2].Ref)
}
