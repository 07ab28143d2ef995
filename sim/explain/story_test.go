package explain

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/fault"
)

const trace = `{"t":0,"k":"trace","version":1,"scenario":"shop","seed":1}
{"t":0,"k":"fact","n":"core-1","s":"node","f":"started","v":{"incarnation":1,"peer":"sABWMx"},"x":{"id":0}}
{"t":0,"k":"fact","n":"edge-2","s":"node","f":"started","v":{"incarnation":1,"peer":"gz7aup"},"x":{"id":0}}
{"t":500000000,"k":"world","l":"pause core-1","a":1,"b":0,"x":{"id":1,"cause":0}}
{"t":900000000,"k":"world","l":"end: pause core-1","a":1,"b":0,"x":{"id":2,"cause":1}}
{"t":990000000,"k":"world","l":"buy 3","a":1,"b":0,"x":{"id":3,"cause":0}}
{"t":1000000000,"k":"frame","n":"core-1","l":"client>core-1","a":3,"b":1,"size":33,"sum":1,"x":{"id":4,"cause":3,"what":"request","method":"shop/buy","call":1}}
{"t":1000000000,"k":"fact","n":"core-1","s":"shop","f":"sold","v":{"order":"o-17","to":"gz7aup","n":3},"x":{"id":4,"src":"shop/sell.go:7"}}
{"t":2000000000,"k":"frame","n":"edge-2","l":"core-1>edge-2","a":3,"b":1,"size":33,"sum":1,"x":{"id":5,"cause":4,"what":"note","method":"shop/give"}}
{"t":2100000000,"k":"wake","n":"edge-2","l":"give","a":3,"b":1,"x":{"id":6,"cause":5}}
{"t":2100000000,"k":"fact","n":"edge-2","s":"shop","f":"got","v":{"order":"o-17"},"x":{"id":6,"src":"shop/get.go:9"}}
{"t":2200000000,"k":"fact","n":"edge-2","s":"shop","f":"got","v":{"order":"o-18"},"x":{"id":6}}
{"t":3000000000,"k":"world","l":"isolate edge-2","a":2,"b":0,"x":{"id":7,"cause":0}}
{"t":3000000000,"k":"world","l":"isolate edge-3","a":2,"b":0,"x":{"id":8,"cause":0}}
{"t":4000000000,"k":"frame","n":"core-1","l":"edge-2>core-1","a":3,"b":1,"size":33,"sum":1,"x":{"id":9,"cause":6,"what":"note","method":"shop/thanks"}}
{"t":4000000000,"k":"missed","l":"edge-2>core-1","x":{"id":9}}
{"t":4500000000,"k":"state","n":"core-1","s":"shop","about":"o-17","says":"sold to gz7aup"}
{"t":4500000000,"k":"state","n":"edge-2","s":"shop","about":"o-17","says":"mine"}
{"t":4500000000,"k":"state","n":"edge-3","s":"shop","about":"o-17","says":"mine"}
{"t":4500000000,"k":"state","n":"edge-3","s":"shop","about":"o-18","says":"mine"}
{"t":5000000000,"k":"timer","n":"core-1","l":"shop","a":3,"b":1,"x":{"id":10,"cause":4}}
{"t":5000000000,"k":"fact","n":"core-1","s":"shop","f":"asked","v":{"order":"o-17","took":5},"x":{"id":10}}
{"t":6000000000,"k":"fact","n":"core-1","s":"shop","f":"asked","v":{"order":"o-17","took":6},"x":{"id":10}}
{"t":7000000000,"k":"log","n":"edge-2","level":"WARN","msg":"nobody answers","x":{"id":10}}
{"t":8000000000,"k":"timer","n":"core-1","l":"shop","a":3,"b":2,"x":{"id":11,"cause":10}}
{"t":8000000000,"k":"fact","n":"core-1","s":"shop","f":"lost","v":{"order":"o-17"},"x":{"id":11,"src":"shop/sell.go:70"}}
{"t":9000000000,"k":"wake","n":"core-1","l":"x","a":1,"b":2,"x":{"id":12,"cause":0}}
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
  1s         core-1  shop sold to=edge-2 n=3  shop/sell.go:7
  2.1s       edge-2  shop got  shop/get.go:9
  3s                 FAULT isolate edge-2
  5s         core-1  shop asked (and 1 times until 6s)
  7s         edge-2  nobody answers
  8s         core-1  shop lost  shop/sell.go:70
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

// TestWhatIsAskedAgain: however often, and of whom, an answer is one line until it
// changes, and so is a failpoint.
func TestWhatIsAskedAgain(t *testing.T) {
	text := `{"t":0,"k":"trace","version":1,"scenario":"shop","seed":1}` + "\n"
	told := func(at int, by, status string) {
		text += fmt.Sprintf(`{"t":%d000000000,"k":"fact","n":"client","s":"client","f":"order-told","v":{"order":"o-17","by":"%s","sweep":%d,"status":"%s"},"x":{"id":0}}`+"\n", at, by, at, status)
	}
	planted := fault.Failpoint{Point: "shop/sell"}
	for at := range 40 {
		told(at+1, fmt.Sprintf("core-%d", at%3+1), "open")
		text += fmt.Sprintf(`{"t":%d500000000,"k":"world","l":"%s","a":%d,"b":0,"x":{"id":%d,"cause":0}}`+"\n", at+1, planted, at, at+1)
	}
	told(50, "core-1", "sold")
	tr, err := Read(strings.NewReader(text))
	require.NoError(t, err)
	var out strings.Builder
	tr.Tell("o-17", time.Minute, []fault.Fault{planted}).Write(&out, 0)
	require.Equal(t, "the story of order o-17, on client\n"+
		"  1s         client  client order-told by=core-1 sweep=1 status=open (and 39 times until 40s)\n"+
		"  1.5s               FAULT "+planted.String()+" (and 39 times until 40.5s)\n"+
		"  50s        client  client order-told by=core-1 sweep=50 status=sold\n", out.String())
}

func TestChain(t *testing.T) {
	tr, err := Read(strings.NewReader(trace))
	require.NoError(t, err)
	s := tr.Tell("o-17", 9*time.Second, told)
	var out strings.Builder
	c := s.Chain("no-lost-orders: at 8s: order o-17 of core-1 is lost by edge-2 (shop lost of core-1)")
	c.Write(&out, 20)
	require.Equal(t, `how it came to this: a line follows from the one before it, or from those behind its arrow
    1  990ms              WORLD buy 3
    2  1s         core-1  client -> core-1  request shop/buy
    3  1s         core-1  shop sold to=edge-2 n=3  shop/sell.go:7
    4  3s                 FAULT isolate edge-2
    5  5s         core-1  timer of shop, after 4s  <- 3
    6  5s         core-1  shop asked  <- 3, 5
    7  6s         core-1  shop asked
    8  8s         core-1  timer of shop, after 3s
    9  8s         core-1  shop lost  shop/sell.go:70  <- 7, 8
`, out.String())
	out.Reset()
	s.Chain("at 8s: edge-2 believes that it has o-17").Write(&out, 20)
	require.Contains(t, out.String(), "edge-2  core-1 -> edge-2  note shop/give, sent 1s before\n")
	require.Contains(t, out.String(), "edge-2  shop got  shop/get.go:9\n")
	require.Contains(t, out.String(), "core-1  shop lost", "the last of all, too")
	require.Nil(t, tr.Tell("o-99", 9*time.Second, told).Chain("o-99 is lost"))
	require.Equal(t, span{from: 6, to: 86}, foldOf(100, 20))
	require.Equal(t, span{}, foldOf(20, 20))
	require.Equal(t, 8*time.Second, s.LastFact())
}

func TestBeliefsAndLosses(t *testing.T) {
	tr, err := Read(strings.NewReader(trace))
	require.NoError(t, err)
	s := tr.Tell("o-17", 9*time.Second, told)
	var out strings.Builder
	s.WriteBeliefs(&out)
	s.WriteLosses(&out)
	require.Equal(t, `what was believed at the end, 9s
  of it
    shop on edge-2, edge-3: mine (seen since 4.5s)
    shop on core-1: sold to edge-2 (seen since 4.5s)
what was not heard, or only after a link had healed
  4s         edge-2 -> core-1  note shop/thanks
`, out.String())
}

func TestReadRefusesWhatIsNoTrace(t *testing.T) {
	_, err := Read(strings.NewReader("{\"t\":1,\"k\":\"fact\",\"n\":\n"))
	require.ErrorContains(t, err, "line 1 of the trace")
}

// shopOf is a trace with more lines.
func shopOf(t *testing.T, lines ...string) *Trace {
	t.Helper()
	tr, err := Read(strings.NewReader(`{"t":0,"k":"trace","version":1,"scenario":"shop","seed":1}` + "\n" + strings.Join(lines, "\n") + "\n"))
	require.NoError(t, err)
	return tr
}

func TestNumbersAreNoObjectsAndShortNamesOfNodesAre(t *testing.T) {
	tr := shopOf(t,
		`{"t":1,"k":"fact","n":"hoarder-1","s":"hoarder","f":"full","v":{"capacity":2097152},"x":{"id":0}}`,
		`{"t":2,"k":"fact","n":"t-2","s":"toy","f":"set","v":{"v":13},"x":{"id":0}}`)
	require.Equal(t, "hoarder-1", tr.ObjectOf("capacity: hoarder-1 holds 2239558 bytes of 2097152"))
	require.Equal(t, "t-2", tr.ObjectOf("kept: at 13s: t-2 lost 1"))
	var out strings.Builder
	tr.Tell("t-2", time.Minute, nil).Chain("kept: at 13s: t-2 lost 1").Write(&out, 0)
	require.Contains(t, out.String(), "t-2  toy set v=13")
}

// TestWhatDiffersIsNeverCut: of a long line those fields go in which all facts are alike.
func TestWhatDiffersIsNeverCut(t *testing.T) {
	long := `"project":"hello-hello-hello","branch":"main-main-main-main","holder":"client-client-client","tree":"t0123456789012345","attempt":1,"commit":"c-17"`
	tr := shopOf(t,
		`{"t":1,"k":"fact","n":"core-1","s":"tns","f":"published","v":{`+long+`,"copies":1},"x":{"id":0}}`,
		`{"t":2,"k":"fact","n":"core-2","s":"tns","f":"published","v":{`+long+`,"copies":2},"x":{"id":0}}`)
	var out strings.Builder
	tr.Tell("c-17", time.Minute, nil).Write(&out, 0)
	require.Contains(t, out.String(), "attempt=1 copies=1 ...\n")
	require.Contains(t, out.String(), "attempt=1 copies=2 ...\n")
	require.NotContains(t, out.String(), "hello-hello")
}

// TestFailpointsOfAllNodes: of faults of one name that come again and again the one that is on
// when the story begins belongs to it, what it did, and which one crashed a node.
func TestFailpointsOfAllNodes(t *testing.T) {
	planted := fault.Failpoint{Point: "shop/sell", Times: 1}
	world := func(at, id, cause int, what string) string {
		return fmt.Sprintf(`{"t":%d000000000,"k":"world","l":"%s","a":%d,"b":0,"x":{"id":%d,"cause":%d}}`, at, what, id, id, cause)
	}
	tr := shopOf(t,
		world(1, 1, 0, planted.String()), world(2, 2, 0, "end: "+planted.String()), world(3, 3, 0, planted.String()),
		`{"t":4000000000,"k":"fact","n":"core-1","s":"shop","f":"sold","v":{"order":"o-17"},"x":{"id":3}}`,
		`{"t":5000000000,"k":"fact","n":"core-1","s":"node","f":"failpoint","v":{"point":"shop/sell"},"x":{"id":3}}`,
		world(5, 4, 3, "keep down core-1"),
		`{"t":6000000000,"k":"fact","n":"core-1","s":"shop","f":"lost","v":{"order":"o-17"},"x":{"id":4}}`)
	s := tr.Tell("o-17", time.Minute, []fault.Fault{planted})
	var out strings.Builder
	s.Write(&out, 0)
	require.Contains(t, out.String(), "  3s                 FAULT "+planted.String()+"\n")
	require.NotContains(t, out.String(), "  1s")
	require.Contains(t, out.String(), "core-1  node failpoint point=shop/sell\n")
	out.Reset()
	s.Chain("o-17 is lost").Write(&out, 0)
	require.Contains(t, out.String(), "WORLD keep down core-1, which failpoint shop/sell has crashed\n")
}

func TestLongChainsAreFolded(t *testing.T) {
	var lines []string
	for i := range 90 {
		lines = append(lines, fmt.Sprintf(`{"t":%d000000000,"k":"fact","n":"core-1","s":"shop","f":"asked","v":{"order":"o-17","n":%d},"x":{"id":0}}`, i+1, i))
	}
	c := shopOf(t, lines...).Tell("o-17", time.Hour, nil).Chain("o-17 is lost")
	var out strings.Builder
	c.Write(&out, 30)
	require.Contains(t, out.String(), " ... 60 lines of 90 are left out (--explain=o-17 prints all)\n")
	require.Equal(t, 32, strings.Count(out.String(), "\n"))
	out.Reset()
	c.Write(&out, 0)
	require.Equal(t, 91, strings.Count(out.String(), "\n"))
}
