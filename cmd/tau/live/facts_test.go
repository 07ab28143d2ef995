package live

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/transport"
)

func TestFactsKeepTheirKindsInJSON(t *testing.T) {
	peer := transport.NewIdentity(make([]byte, 32)).Peer()
	given := []FactField{{"a", "text"}, {"b", int64(-3)}, {"c", true}, {"d", 3 * time.Second}, {"e", peer}}
	raw, err := json.Marshal(append(given, FactField{"f", uint64(7)}, FactField{"g", 8}))
	require.NoError(t, err)
	var back []FactField
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, append(given, FactField{"f", int64(7)}, FactField{"g", int64(8)}), back)
}

// TestFactsAreReadPageByPage: each once, in order; what was overwritten is counted, and another run begins anew.
func TestFactsAreReadPageByPage(t *testing.T) {
	l := newFacts(time.Now())
	add := func(n int) {
		for range n {
			l.add("s", "f", []node.Field{node.F("n", int(l.last)+1)})
		}
	}
	req := FactsRequest{Limit: 100}
	read := func() (got int) {
		for {
			page, _ := l.page(req)
			for i, f := range page.Facts {
				require.EqualValues(t, req.After+page.Lost+uint64(i)+1, f.Seq)
				require.EqualValues(t, f.Seq, f.Fields[0].Value)
			}
			req.Run, req.After = page.Run, page.Next
			if got += len(page.Facts); len(page.Facts) == 0 {
				return got
			}
		}
	}
	require.Zero(t, read())
	add(250)
	require.Equal(t, 250, read())
	add(FactsMax)
	require.Equal(t, FactsMax, read())
	add(FactsMax + 7)
	page, _ := l.page(req)
	require.EqualValues(t, 7, page.Lost)
	require.Equal(t, FactsMax, read())
	page, _ = l.page(FactsRequest{Run: l.run + 1, After: l.last})
	require.EqualValues(t, l.last-FactsMax+1, page.Facts[0].Seq)
	require.EqualValues(t, l.last, l.counts()[factKey{"s", "f"}])
}

func TestFactsAreWaitedFor(t *testing.T) {
	r := &running{cfg: Config{Log: &Log{facts: newFacts(time.Now())}}}
	began := time.Now()
	resp, err := r.facts(context.Background(), FactsRequest{Wait: 20 * time.Millisecond})
	require.NoError(t, err)
	require.Empty(t, resp.Facts)
	require.GreaterOrEqual(t, time.Since(began), 20*time.Millisecond)
	done := make(chan FactsResponse)
	go func() {
		resp, _ := r.facts(context.Background(), FactsRequest{Wait: factsWaitMax})
		done <- resp
	}()
	r.cfg.Log.facts.add("s", "f", nil)
	require.Len(t, (<-done).Facts, 1)
}
