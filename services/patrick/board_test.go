package patrick

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
	"pgregory.net/rapid"
)

func jobWith(project, branch string, order uint64, status patrickapi.Status) State {
	return State{Status: status, Spec: spec{Project: project, Branch: branch, Order: order}}
}

func TestOrdersOfABranchGrowWhateverTheClockSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBoard()
		last := uint64(0)
		for i, at := range rapid.SliceOf(rapid.Int64Range(-1000, 1<<40)).Draw(t, "clock") {
			id := patrickapi.JobID("r", "b", fmt.Sprint(i))
			order := b.nextOrder(patrickapi.BranchOf(id), time.Unix(0, at))
			require.Greater(t, order, last)
			require.GreaterOrEqual(t, int64(order), at)
			b.note(id, jobWith("p", "b", order, patrickapi.Open))
			last = order
		}
	})
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
			b.note(patrickapi.JobID(project, "b", fmt.Sprint(i)), jobWith(project, "b", order, patrickapi.Open))
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
		b.note(patrickapi.JobID("p", "b", fmt.Sprint(i)), jobWith("p", "b", uint64(i+1), status))
	}
	require.Empty(t, b.oldestFinished("p", 6), "six are final")
	require.Equal(t, []string{patrickapi.JobID("p", "b", "1"), patrickapi.JobID("p", "b", "2")}, b.oldestFinished("p", 4))
	for _, id := range b.oldestFinished("p", 4) {
		b.forget(id)
	}
	require.Empty(t, b.oldestFinished("p", 4))
	require.Empty(t, b.oldestFinished("other", 0))
}

func TestANewerJobSupersedesOnlyIfItWantsTo(t *testing.T) {
	b := newBoard()
	older := &active{id: patrickapi.JobID("r", "b", "1"), state: jobWith("p", "b", 1, patrickapi.Open)}
	b.note(older.id, older.state)
	plain := jobWith("p", "b", 2, patrickapi.Open)
	b.note(patrickapi.JobID("r", "b", "2"), plain)
	require.Empty(t, b.supersededBy(older))
	newest := jobWith("p", "b", 3, patrickapi.Open)
	newest.Spec.NewestWins = true
	id := patrickapi.JobID("r", "b", "3")
	b.note(id, newest)
	require.Equal(t, id, b.supersededBy(older))
	require.Empty(t, b.supersededBy(&active{id: id, state: newest}), "not itself")
	require.Empty(t, b.supersededBy(&active{id: patrickapi.JobID("r", "other", "1"), state: older.state}))
}

func TestOffersGrowUntilAllAreTold(t *testing.T) {
	var monkeys []transport.Peer
	for i := range 200 {
		monkeys = append(monkeys, transport.NewIdentity(fmt.Appendf(nil, "monkey-%d", i)).Peer())
	}
	job := patrickapi.JobID("r", "b", "1")
	before := []transport.Peer{}
	for round, want := range []int{3, 12, 48, 192, 200, 200} {
		list := Shortlist(patrickapi.Offer{Job: job, Attempt: 1, Round: round}, monkeys)
		require.Len(t, list, want)
		require.Equal(t, before, list[:len(before)], "who was told is told again")
		before = list
	}
	require.NotEqual(t, Shortlist(patrickapi.Offer{Job: job, Attempt: 2}, monkeys), before[:3], "each attempt has an order of its own")
	require.Positive(t, shortlistLen(1<<30))
}

func TestTailsOfLogsAreBounded(t *testing.T) {
	l := newLogs()
	old, now := Token{Attempt: 1, Holder: testPeers[0]}, Token{Attempt: 2, Holder: testPeers[1]}
	note := func(token Token, first int, lines ...string) patrickapi.LogNote {
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
