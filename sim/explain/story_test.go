package explain

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/fault"
)

const trace = `{"t":0,"k":"fact","n":"core-1","s":"node","f":"started","incarnation":1,"peer":"sABWMx"}
{"t":0,"k":"fact","n":"edge-2","s":"node","f":"started","incarnation":1,"peer":"gz7aup"}
{"t":500000000,"k":"world","l":"pause core-1","a":1,"b":0}
{"t":900000000,"k":"world","l":"end: pause core-1","a":1,"b":0}
{"t":1000000000,"k":"fact","n":"core-1","s":"shop","f":"sold","order":"o-17","to":"gz7aup","n":3}
{"t":2000000000,"k":"frame","n":"edge-2","l":"core-1>edge-2","a":3,"b":1,"size":33,"sum":1}
{"t":2100000000,"k":"fact","n":"edge-2","s":"shop","f":"got","order":"o-17"}
{"t":2200000000,"k":"fact","n":"edge-2","s":"shop","f":"got","order":"o-18"}
{"t":3000000000,"k":"world","l":"isolate edge-2","a":2,"b":0}
{"t":3000000000,"k":"world","l":"isolate edge-3","a":2,"b":0}
{"t":4000000000,"k":"frame","n":"core-1","l":"edge-2>core-1","a":3,"b":1,"size":33,"sum":1}
{"t":4000000000,"k":"missed","l":"edge-2>core-1"}
{"t":5000000000,"k":"fact","n":"core-1","s":"shop","f":"asked","order":"o-17","took":5}
{"t":6000000000,"k":"fact","n":"core-1","s":"shop","f":"asked","order":"o-17","took":6}
{"t":7000000000,"k":"log","n":"edge-2","level":"WARN","msg":"nobody answers"}
{"t":8000000000,"k":"fact","n":"core-1","s":"shop","f":"lost","order":"o-17"}
{"t":9000000000,"k":"wake","n":"core-1","l":"x","a":1,"b":2}
`

var told = []fault.Fault{
	fault.Pause{Nodes: []string{"core-1"}},
	fault.Isolate{Pairs: fault.Pairs{From: []string{"edge-2"}, To: []string{"core-1", "edge-2", "edge-3"}, TwoWay: true}},
	fault.Isolate{Pairs: fault.Pairs{From: []string{"edge-3"}, To: []string{"core-1", "edge-2", "edge-3"}, TwoWay: true}},
}

func TestStory(t *testing.T) {
	tr, err := Read(strings.NewReader(trace))
	require.NoError(t, err)
	id := tr.ObjectOf("no-lost-orders: at 8s: order o-17 of core-1 is lost by edge-2 (shop lost of core-1)")
	require.Equal(t, "o-17", id)
	s := tr.Tell(id, 9*time.Second, told)
	s.Verdict = "no-lost-orders: at 8s"
	var out strings.Builder
	s.Write(&out, 0)
	require.Equal(t, `the story of order o-17, on core-1, edge-2
  1s         core-1  shop sold to=edge-2 n=3
  2.1s       edge-2  shop got
  3s                 FAULT isolate edge-2
  5s         core-1  shop asked (and 1 times until 6s)
  7s         edge-2  nobody answers
  8s         core-1  shop lost
  9s                 FAILED no-lost-orders: at 8s
who had last heard from whom at the end, 9s
  edge-2 from core-1 7s before
`, out.String())
	out.Reset()
	s.Write(&out, 3)
	require.Contains(t, out.String(), "shop sold")
	require.Contains(t, out.String(), "  ... 3 lines (--explain shows them)\n")
	require.Contains(t, out.String(), "shop lost")
	require.NotContains(t, out.String(), "shop got")
}

func TestObjectOf(t *testing.T) {
	tr, err := Read(strings.NewReader(trace))
	require.NoError(t, err)
	require.Equal(t, "edge-2", tr.ObjectOf("panic in \"x\" of shop on edge-2 at 3s: oh"), "a node, if nothing else is named")
	require.Empty(t, tr.ObjectOf("at 3s: 7 of 9 are wrong"))
	var out strings.Builder
	tr.Tell("edge-2", 9*time.Second, nil).Write(&out, 0)
	require.Contains(t, out.String(), "edge-2  shop got order=o-18")
	out.Reset()
	tr.Tell("o-99", 9*time.Second, told).Write(&out, 0)
	require.Equal(t, "the story of o-99: no fact names it\n", out.String())
}

func TestReadRefusesWhatIsNoTrace(t *testing.T) {
	_, err := Read(strings.NewReader("{\"t\":1,\"k\":\"fact\",\"n\":\n"))
	require.ErrorContains(t, err, "line 1 of the trace")
}
