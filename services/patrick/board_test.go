package patrick

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
	"pgregory.net/rapid"
)

func jobWith(project, branch string, order uint64, status patrickapi.Status) State {
	return State{Status: status, Spec: spec{Project: project, Branch: branch, Order: order}}
}

// jobNamed is the id of a job of branch b.
func jobNamed(repository, event string, order uint64) string {
	return patrickapi.JobID(repository, "b", "commit", patrickapi.Event{ID: event, Order: order})
}

// An order that is given away is greater than all that were given, accepted, or
// told of before, whatever was asked for in between.
func TestOrdersOfABranchGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBoard()
		last := map[string]uint64{}
		for i, step := range rapid.SliceOf(rapid.IntRange(0, 3)).Draw(t, "steps") {
			branch := patrickapi.BranchID("r", rapid.SampledFrom([]string{"b", "c"}).Draw(t, "branch"))
			switch seen := rapid.Uint64Range(0, 50).Draw(t, "seen"); step {
			case 0: // somebody else has accepted what another patrick gave
				id := branch + patrickapi.JobID("", "", "", patrickapi.Event{ID: fmt.Sprint(i), Order: seen})[16:]
				b.update(id, jobWith("p", "b", seen, patrickapi.Open))
				last[branch] = max(last[branch], seen)
			default:
				order := b.giveOrder(branch, seen)
				require.Equal(t, max(last[branch], seen)+1, order)
				last[branch] = order
			}
			require.Equal(t, last[branch], b.highest(branch))
		}
	})
}

func TestOrdersThatWereGivenAreBounded(t *testing.T) {
	b := newBoard()
	for i := range 2 * givenMax {
		b.giveOrder(patrickapi.BranchID("r", fmt.Sprint(i)))
		b.giveOrder(patrickapi.BranchID("r", fmt.Sprint(i)))
	}
	require.Len(t, b.given.last, givenMax)
	require.Len(t, b.given.order, givenMax)
	require.EqualValues(t, 2, b.highest(patrickapi.BranchID("r", fmt.Sprint(2*givenMax-1))))
}

func TestPagesListEveryJobOnceNewestFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBoard()
		n := rapid.IntRange(0, 30).Draw(t, "jobs")
		want := 0
		for i := range n {
			project := rapid.SampledFrom([]string{"p", "q"}).Draw(t, "project")
			if project == "p" {
				want++
			}
			order := rapid.Uint64Range(1, 9).Draw(t, "order")
			b.update(jobNamed(project, fmt.Sprint(i), order), jobWith(project, "b", order, patrickapi.Open))
		}
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		seen := map[string]bool{}
		after, more, last := "", true, ^uint64(0)
		for more {
			var ids []string
			var err error
			ids, more, err = b.page("p", "", after, limit)
			require.NoError(t, err)
			require.LessOrEqual(t, len(ids), limit)
			for _, id := range ids {
				require.False(t, seen[id])
				require.LessOrEqual(t, b.briefs[id].order, last)
				seen[id], last, after = true, b.briefs[id].order, id
			}
		}
		require.Len(t, seen, want)
	})
	_, _, err := newBoard().page("", "", "nobody", 1)
	require.Error(t, err)
}

func TestOnlyTheOldestFinishedJobsAreForgotten(t *testing.T) {
	b := newBoard()
	for i := range 10 {
		status := patrickapi.Success
		if i%3 == 0 {
			status = patrickapi.Open
		}
		b.update(jobNamed("p", fmt.Sprint(i), uint64(i+1)), jobWith("p", "b", uint64(i+1), status))
	}
	require.Empty(t, b.oldestFinished("p", 6), "six are final")
	require.Equal(t, []string{jobNamed("p", "1", 2), jobNamed("p", "2", 3)}, b.oldestFinished("p", 4))
	for _, id := range b.oldestFinished("p", 4) {
		b.forget(id)
	}
	require.Empty(t, b.oldestFinished("p", 4))
	require.Empty(t, b.oldestFinished("other", 0))
}

func TestANewerJobSupersedesOnlyIfItWantsTo(t *testing.T) {
	b := newBoard()
	older := &active{id: jobNamed("r", "1", 1), state: jobWith("p", "b", 1, patrickapi.Open)}
	b.update(older.id, older.state)
	plain := jobWith("p", "b", 2, patrickapi.Open)
	b.update(jobNamed("r", "2", 2), plain)
	require.Empty(t, b.supersededBy(older))
	newest := jobWith("p", "b", 3, patrickapi.Open)
	newest.Spec.NewestWins = true
	id := jobNamed("r", "3", 3)
	b.update(id, newest)
	require.Equal(t, id, b.supersededBy(older))
	require.Empty(t, b.supersededBy(&active{id: id, state: newest}), "not itself")
	require.Empty(t, b.supersededBy(&active{id: patrickapi.JobID("r", "other", "c", patrickapi.Event{ID: "1", Order: 1}), state: older.state}))
}

func TestOffersGrowUntilAllAreTold(t *testing.T) {
	var monkeys []transport.Peer
	for i := range 200 {
		monkeys = append(monkeys, transport.NewIdentity(fmt.Appendf(nil, "monkey-%d", i)).Peer())
	}
	job := jobNamed("r", "1", 1)
	before := []transport.Peer{}
	for round, want := range []int{3, 12, 48, 192, 200, 200} {
		list := shortlist(patrickapi.Offer{Job: job, Attempt: 1, Round: round}, monkeys)
		require.Len(t, list, want)
		require.Equal(t, before, list[:len(before)], "who was told is told again")
		before = list
	}
	require.NotEqual(t, shortlist(patrickapi.Offer{Job: job, Attempt: 2}, monkeys), before[:3], "each attempt has an order of its own")
	require.Positive(t, shortlistLen(1<<30))
}

func TestTailsOfLogsAreBounded(t *testing.T) {
	l := newLogs()
	old, now := fencing.Token{Attempt: 1, Holder: testPeers[0]}, fencing.Token{Attempt: 2, Holder: testPeers[1]}
	note := func(token fencing.Token, first int, lines ...string) patrickapi.LogNote {
		return patrickapi.LogNote{Job: "j", Token: token, First: first, Lines: lines}
	}
	l.add(note(old, 0, "a", "b"))
	l.add(note(old, 0, "a", "b"))
	require.Equal(t, []string{"a", "b"}, l.tails["j"].lines, "told twice")
	l.add(note(now, 0, "c"))
	l.add(note(old, 2, "late"))
	require.Equal(t, []string{"c"}, l.tails["j"].lines, "of the newest attempt")
	for i := range 2 * tailLinesMax {
		l.add(note(now, 1+i, fmt.Sprint(i)))
	}
	require.Len(t, l.tails["j"].lines, tailLinesMax)
	for i := range 2 * tailJobsMax {
		l.add(patrickapi.LogNote{Job: fmt.Sprint(i), Token: now, Lines: []string{"x"}})
	}
	require.Len(t, l.tails, tailJobsMax)
}
