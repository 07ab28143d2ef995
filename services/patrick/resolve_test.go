package patrick

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"pgregory.net/rapid"
)

var testPeers = func() (peers []transport.Peer) {
	for _, name := range []string{"a", "b", "c"} {
		peers = append(peers, transport.NewIdentity([]byte(name)).Peer())
	}
	return peers
}()

func drawRecord(t *rapid.T) record {
	peer := func(label string) transport.Peer { return rapid.SampledFrom(testPeers).Draw(t, label) }
	token := fencing.Token{Attempt: rapid.Uint64Range(1, 3).Draw(t, "attempt"), Holder: peer("holder")}
	rebuilt := rapid.IntRange(0, 2).Draw(t, "rebuild")
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		return spec{Project: "p", Order: 1, By: peer("by")}
	case 1:
		return grant{Token: token, Incarnation: rapid.Uint64Range(1, 2).Draw(t, "incarnation"), By: peer("by")}
	case 2:
		return loss{Token: token, By: peer("by")}
	case 3:
		return result{
			Token: token, Success: rapid.Bool().Draw(t, "success"), Permanent: rapid.Bool().Draw(t, "permanent"),
			Artifact: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "artifact"),
		}
	case 4:
		return cancel{Rebuild: rebuilt, Cause: rapid.SampledFrom([]string{"request", "z"}).Draw(t, "cause"), By: peer("by")}
	case 5:
		return rebuild{N: 1 + rebuilt, After: token.Attempt, By: peer("by")}
	default:
		return closing{Rebuild: rebuilt, FencedBelow: token.Attempt + 1, Status: rapid.SampledFrom([]patrickapi.Status{patrickapi.Failed, patrickapi.Cancelled}).Draw(t, "status"), Token: token, By: peer("by")}
	}
}

func TestResolveIsIndependentOfOrderAndRepetition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOf(rapid.Custom(drawRecord)).Draw(t, "records")
		want := resolve(records)
		shuffled := append([]record{}, records...)
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, 1000), 0, 5).Draw(t, "repeated") {
			if len(records) > 0 {
				shuffled = append(shuffled, records[i%len(records)])
			}
		}
		seed := rapid.Uint64().Draw(t, "shuffle")
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		require.Equal(t, want, resolve(shuffled))
	})
}

func TestResolveNeverGoesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOf(rapid.Custom(drawRecord)).Draw(t, "records")
		before := resolve(nil)
		for i := range records {
			after := resolve(records[:i+1])
			require.GreaterOrEqual(t, after.Rebuilds, before.Rebuilds)
			require.GreaterOrEqual(t, after.nextAttempt(), before.nextAttempt())
			if before.Status.Final() && (after.Rebuilds == before.Rebuilds || before.Status == patrickapi.Success) {
				require.GreaterOrEqual(t, after.Status, before.Status, "a final job stays final")
			}
			if before.Status == patrickapi.Success {
				require.GreaterOrEqual(t, after.Outcome.Token.Compare(before.Outcome.Token), 0, "the greatest token's success counts")
			}
			require.GreaterOrEqual(t, after.Top.Token.Compare(before.Top.Token), 0)
			before = after
		}
	})
}

// The brute-force reading of the rules, one question at a time.
func TestResolveAgreesWithTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := append(rapid.SliceOf(rapid.Custom(drawRecord)).Draw(t, "records"), spec{Order: 1})
		some := func(match func(record) bool) bool {
			for _, r := range records {
				if match(r) {
					return true
				}
			}
			return false
		}
		ended := func(token fencing.Token) bool {
			return some(func(r record) bool {
				switch r := r.(type) {
				case loss:
					return r.Token == token
				case result:
					return r.Token == token
				}
				return false
			})
		}
		var top fencing.Token
		for _, r := range records {
			if g, ok := r.(grant); ok && g.Token.Compare(top) > 0 {
				top = g.Token
			}
		}
		rebuilds := 0
		for _, r := range records {
			if r, ok := r.(rebuild); ok {
				rebuilds = max(rebuilds, r.N)
			}
		}
		want := patrickapi.Open
		switch {
		case some(func(r record) bool { x, ok := r.(result); return ok && x.Success }):
			want = patrickapi.Success
		case some(func(r record) bool {
			c, ok := r.(closing)
			return ok && c.Rebuild == rebuilds && c.Status == patrickapi.Cancelled
		}):
			want = patrickapi.Cancelled
		case some(func(r record) bool { c, ok := r.(closing); return ok && c.Rebuild == rebuilds }):
			want = patrickapi.Failed
		case !top.IsZero() && !ended(top):
			want = patrickapi.Locked
		}
		require.Equal(t, want, resolve(records).Status)
	})
}

// What tns was fenced for is below every grant that comes after it.
func TestAttemptsAfterARebuildAreAboveTheSeal(t *testing.T) {
	grants := []record{spec{Order: 1}, grant{Token: fencing.Token{Attempt: 2, Holder: testPeers[0]}}}
	require.EqualValues(t, 3, resolve(grants).nextAttempt())
	fenced := append(grants, closing{Status: patrickapi.Failed, FencedBelow: 5}, rebuild{N: 1, After: 4})
	require.EqualValues(t, 5, resolve(fenced).nextAttempt())
	require.Equal(t, 0, resolve(fenced).Failures)
}

func TestRecordsSurviveTheStore(t *testing.T) {
	const job = "0123456789abcdef-0123456789abcdef01234567"
	rapid.Check(t, func(t *rapid.T) {
		want := drawRecord(t)
		key := want.key(job)
		id, ok := jobOf(key)
		require.True(t, ok)
		require.Equal(t, job, id)
		require.True(t, key.Has(jobKey(job)) && key.Has(jobsKey()))
		got, err := decodeRecord(storage.Entry{Key: key, Value: transport.Encode(want)})
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestDecide(t *testing.T) {
	l := limits{failuresMax: 3, lossesMax: 2, backoffMin: time.Second, backoffMax: 3 * time.Second}
	token := func(n uint64) fencing.Token { return fencing.Token{Attempt: n, Holder: testPeers[0]} }
	failed := func(n uint64) []record {
		return []record{grant{Token: token(n)}, result{Token: token(n), Error: "disk"}}
	}
	lost := func(n uint64) []record { return []record{grant{Token: token(n)}, loss{Token: token(n)}} }
	join := func(parts ...[]record) (all []record) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return append(all, spec{Order: 1})
	}
	for name, c := range map[string]struct {
		records []record
		want    verdict
	}{
		"new":                     {join(), verdict{}},
		"held":                    {join([]record{grant{Token: token(1)}}), verdict{}},
		"held, to be cancelled":   {join([]record{grant{Token: token(1)}, cancel{Reason: "why"}}), verdict{}},
		"open, to be cancelled":   {join([]record{cancel{Reason: "why"}}), verdict{close: patrickapi.Cancelled, reason: "why"}},
		"lost, to be cancelled":   {join(lost(1), []record{cancel{Reason: "why"}}), verdict{close: patrickapi.Cancelled, reason: "why"}},
		"lost once":               {join(lost(1)), verdict{}},
		"lost twice":              {join(lost(1), lost(2)), verdict{close: patrickapi.Failed, reason: "2 attempts were lost"}},
		"failed once":             {join(failed(1)), verdict{wait: time.Second}},
		"failed twice, lost once": {join(failed(1), failed(2), lost(3)), verdict{wait: 2 * time.Second}},
		"failed three times":      {join(failed(1), failed(2), failed(3)), verdict{close: patrickapi.Failed, reason: "3 attempts failed, the last one with: disk"}},
		"the user's fault":        {join([]record{grant{Token: token(1)}, result{Token: token(1), Permanent: true, Error: "syntax"}}), verdict{close: patrickapi.Failed, reason: "syntax"}},
		"built anew after two failures, failed once": {
			join(failed(1), failed(2), []record{rebuild{N: 1, After: 2}}, failed(3)), verdict{wait: time.Second},
		},
		"built anew after the user's fault": {
			join([]record{grant{Token: token(1)}, result{Token: token(1), Permanent: true}, closing{Status: patrickapi.Failed}, rebuild{N: 1, After: 1}}), verdict{},
		},
		"built anew after two losses": {join(lost(1), lost(2), []record{closing{Status: patrickapi.Failed}, rebuild{N: 1, After: 2}}), verdict{}},
		"built anew after a cancel":   {join([]record{cancel{Reason: "why"}, closing{Status: patrickapi.Cancelled}, rebuild{N: 1}}), verdict{}},
		"cancelled once more": {
			join([]record{closing{Status: patrickapi.Failed}, rebuild{N: 1}, cancel{Rebuild: 1, Reason: "again"}}), verdict{close: patrickapi.Cancelled, reason: "again"},
		},
		"closed": {join([]record{closing{Status: patrickapi.Failed}}), verdict{}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, decide(resolve(c.records), l)) })
	}
	require.Equal(t, 3*time.Second, backoff(9, l))
}
