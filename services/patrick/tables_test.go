package patrick

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/sometimes"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

func TestSettings(t *testing.T) {
	require.Equal(t, &Settings{
		Lease: 10 * time.Second, BuildMax: 10 * time.Minute, AttemptsMax: 3, LossesMax: 10, BackoffMin: time.Second, BackoffMax: 30 * time.Second,
		AnnounceInterval: 5 * time.Second, KeepFinished: 1000, Copies: 2, PollEvery: time.Minute, History: storage.DefaultHistory(),
	}, DefaultSettings())
	set := DefaultSettings()
	require.Empty(t, set.Conflicts())
	require.Equal(t, limits{failuresMax: 3, lossesMax: 10, backoffMin: time.Second, backoffMax: 30 * time.Second}, set.limits())
	set.Lease, set.BackoffMin = set.BuildMax, set.BackoffMax
	require.Empty(t, set.Conflicts(), "equal ones do")
	set.Lease, set.BackoffMin = 2*set.BuildMax, 2*set.BackoffMax
	list := set.Conflicts()
	require.Len(t, list, 2)
	require.Equal(t, []string{"lease", "20m0s is more than build-max, 10m0s", "allowed with it: at most 10m0s"}, []string{list[0].Key, list[0].What, list[0].Hint})
	require.Equal(t, []string{"backoff-min", "1m0s is more than backoff-max, 30s", "allowed with it: at most 30s"}, []string{list[1].Key, list[1].What, list[1].Hint})
	require.Equal(t, limits{failuresMax: 1, lossesMax: 1}, (&Settings{}).limits())
	require.Equal(t, time.Minute, set.limits().backoffMax)
}

func TestBackoffDoubles(t *testing.T) {
	l := limits{backoffMin: 2 * time.Second, backoffMax: 9 * time.Second}
	for failures, want := range []time.Duration{0, 2, 4, 8, 9, 9} {
		require.Equal(t, want*time.Second, backoff(failures, l))
	}
	require.Equal(t, 5*time.Second, backoff(1, limits{backoffMin: 9 * time.Second, backoffMax: 5 * time.Second}))
}

// Which reports count, of a job with a grant 2 that is live, has ended, or has
// reported.
func TestWhichReportsCount(t *testing.T) {
	token := func(n uint64) fencing.Token { return fencing.Token{Attempt: n, Holder: testPeers[0]} }
	base := []record{spec{Order: 1}, grant{Token: token(1)}, loss{Token: token(1)}, grant{Token: token(2)}}
	states := map[string][]record{
		"unknown": {grant{Token: token(2)}}, "live": base, "lost": append(base[:4:4], loss{Token: token(2)}),
		"failed": append(base[:4:4], result{Token: token(2)}), "succeeded": append(base[:4:4], result{Token: token(2), Success: true}),
		"closed": append(base[:4:4], loss{Token: token(2)}, closing{Status: patrickapi.Failed}),
	}
	failure, success, published := patrickapi.FinishRequest{}, patrickapi.FinishRequest{Success: true}, patrickapi.FinishRequest{Success: true, Published: true}
	for _, c := range []struct {
		state   string
		attempt uint64
		req     patrickapi.FinishRequest
		want    transport.Kind
		mark    string
	}{
		{"unknown", 2, published, transport.NotFound, ""},
		{"live", 3, published, transport.NotFound, ""},
		{"live", 2, failure, 0, ""},
		{"live", 2, success, 0, ""},
		{"live", 1, failure, transport.Conflict, "stale-report"},
		{"live", 1, success, transport.Conflict, "stale-report"},
		{"live", 1, published, 0, "late-success"},
		{"live", 1, patrickapi.FinishRequest{Published: true}, transport.Conflict, "stale-report"},
		{"lost", 2, failure, transport.Conflict, "stale-report"},
		{"lost", 2, success, 0, ""},
		{"failed", 2, failure, 0, ""},
		{"failed", 2, success, 0, ""},
		{"failed", 1, failure, transport.Conflict, "stale-report"},
		{"succeeded", 2, success, 0, ""},
		{"succeeded", 2, failure, transport.Conflict, ""},
		{"closed", 2, success, transport.Conflict, ""},
		{"closed", 2, published, 0, "late-success"},
	} {
		c.req.Token = token(c.attempt)
		sometimes.Count()
		require.Equal(t, c.want, transport.KindOf(acceptable(resolve(states[c.state]), c.req)), "%+v", c)
		want := map[string]int{}
		if c.mark != "" {
			want["patrick/"+c.mark] = 1
		}
		require.Equal(t, want, sometimes.Hits(), "%+v", c)
	}
	long := string(make([]byte, patrickapi.TextLenMax+1))
	s := &Service{}
	require.Equal(t, result{
		Token: token(1), Success: true, Published: true, Permanent: true, Artifact: long[1:], Log: long[1:], Error: long[1:],
	}, s.resultOf(patrickapi.FinishRequest{Token: token(1), Success: true, Published: true, Permanent: true, Abandoned: true, Artifact: long, Log: long, Error: long}))
	require.Equal(t, loss{Token: token(1), Reason: "abandoned"}, s.resultOf(patrickapi.FinishRequest{Token: token(1), Abandoned: true}))
}

// A job is told as it is, and what it has not got is left out.
func TestHowAJobIsTold(t *testing.T) {
	token := fencing.Token{Attempt: 4, Holder: testPeers[0]}
	state := State{
		Spec: spec{
			Project: "p", Repository: "r", Branch: "b", Commit: "c", Source: "s", TreeSize: 7, NewestWins: true, Event: "e", Order: 9, At: 11,
		},
		Top: grant{Token: token}, Grants: 3, Rebuilds: 2, Cancel: &cancel{},
		Outcome: result{Token: fencing.Token{Attempt: 3}, Artifact: "a", Log: "l"}, Reason: "why",
	}
	base := patrickapi.Job{
		ID: "id", Project: "p", Repository: "r", Branch: "b", Commit: "c", Source: "s", TreeSize: 7, NewestWins: true, Event: "e", Order: 9,
		Accepted: 11, Rebuilds: 2, Attempts: 3, Log: "l",
	}
	for status, c := range map[patrickapi.Status]func(j *patrickapi.Job){
		patrickapi.Open:      func(j *patrickapi.Job) { j.Cancelling = true },
		patrickapi.Locked:    func(j *patrickapi.Job) { j.Cancelling, j.Token = true, token },
		patrickapi.Success:   func(j *patrickapi.Job) { j.Token, j.Artifact = state.Outcome.Token, "a" },
		patrickapi.Failed:    func(j *patrickapi.Job) { j.Token, j.Error = state.Outcome.Token, "why" },
		patrickapi.Cancelled: func(j *patrickapi.Job) { j.Token, j.Error = state.Outcome.Token, "why" },
	} {
		want := base
		want.Status = status
		c(&want)
		state.Status = status
		require.Equal(t, want, state.job("id"))
	}
}

func TestLimitsOfAnswers(t *testing.T) {
	for n, want := range map[int]int{-1: 10, 0: 10, 1: 1, 10: 10, 11: 10} {
		require.Equal(t, want, within(n, 10))
	}
}

// Keys of anything else are no records.
func TestKeysOfRecords(t *testing.T) {
	for _, k := range []storage.Key{storage.K("jobs"), storage.K("jobs", "j"), storage.K("jobs", "j", "spec"), storage.K("jobs", "j", "x", "y")} {
		_, err := decodeRecord(storage.Entry{Key: k})
		require.Error(t, err, k)
	}
	_, err := decodeRecord(storage.Entry{Key: storage.K("jobs", "j", "spec", "by"), Value: []byte("nonsense")})
	require.Error(t, err)
	_, ok := jobOf(storage.K("past", "j", "spec", "by"))
	require.False(t, ok)
	_, ok = jobOf(storage.K("jobs", "j", "spec"))
	require.False(t, ok)
	id, ok := jobOf(storage.K("jobs", "j", "spec", "by"))
	require.True(t, ok)
	require.Equal(t, "j", id)
}

// What the board lists is in order, and of what is forgotten nothing stays.
func TestTheBoard(t *testing.T) {
	b := newBoard()
	for i, order := range []uint64{3, 1, 2} {
		id := jobNamed("r", "e", order)
		state := jobWith("p", "b", order, patrickapi.Open)
		state.Spec.At, state.Spec.Source, state.Outcome.Log = int64(10-i), "tree", "log"
		b.update(id, state)
		b.active[id] = &active{id: id, state: state}
	}
	id := func(order uint64) string { return jobNamed("r", "e", order) }
	ids := func(list []*active) (ids []string) {
		for _, j := range list {
			ids = append(ids, j.id)
		}
		return ids
	}
	require.Equal(t, []string{id(1), id(2), id(3)}, ids(b.open()))
	require.Equal(t, []string{id(1), id(2), id(3)}, ids(b.ofBranch(patrickapi.BranchID("r", "b"))))
	require.Empty(t, b.ofBranch(patrickapi.BranchID("r", "other")))
	b.active[id(2)].state.Status = patrickapi.Locked
	require.Equal(t, []string{id(1), id(3)}, ids(b.open()))
	require.Equal(t, brief{project: "p", branch: "b", order: 1, at: 9, status: patrickapi.Open, source: "tree", log: "log"}, b.briefs[id(1)])

	page := func(project, branch string) []string {
		list, _, err := b.page(project, branch, "", 10)
		require.NoError(t, err)
		return list
	}
	require.Equal(t, []string{id(3), id(2), id(1)}, page("", "b"), "of a branch by order")
	require.Equal(t, []string{id(3), id(1), id(2)}, page("p", ""), "others by when they were accepted")
	require.Empty(t, page("q", ""))
	require.Empty(t, page("p", "other"))

	done := jobWith("p", "b", 1, patrickapi.Success)
	done.Spec.Source = "tree"
	b.update(id(1), done)
	require.Empty(t, b.briefs[id(1)].source, "a success is not built again")
	b.update(id(1), done)
	require.Equal(t, 1, b.finished["p"], "it has ended once")
	b.forget(id(1))
	require.Equal(t, 0, b.finished["p"])
	require.NotContains(t, b.briefs, id(1))
	require.NotContains(t, b.active, id(1))
	require.Equal(t, id(2), b.oldestActive(patrickapi.BranchID("r", "b")))
	b.update(id(2), jobWith("p", "b", 2, patrickapi.Failed))
	b.update(id(2), jobWith("p", "b", 2, patrickapi.Open))
	require.Equal(t, 0, b.finished["p"], "it is built anew")
	b.forget(id(2))
	require.Equal(t, 0, b.finished["p"])
	require.EqualValues(t, 4, b.giveOrder(patrickapi.BranchID("r", "b"), 2))
	require.EqualValues(t, 8, b.giveOrder(patrickapi.BranchID("r", "b"), 7, 2))
	require.EqualValues(t, 1, b.giveOrder(patrickapi.BranchID("r", "new")))
}
