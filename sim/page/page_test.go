package page

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/report"
)

const head = `{"t":0,"k":"trace","version":1,"scenario":"shop","seed":7}` + "\n"

// hostile is what a run could say to get its own code into the page.
const hostile = `</script><script>document.title='taken'</script><img src=x onerror="document.title='taken'">`

// shop is a run with one order, which a user gives, a node loses and a fault decides.
const shop = head + `{"t":0,"k":"fact","n":"core-1","s":"node","f":"started","v":{"incarnation":1},"x":{"id":0}}
{"t":1000000,"k":"world","l":"buy 0","a":1,"b":0,"x":{"id":1,"cause":0}}
{"t":1000000,"k":"start","n":"client","l":"buy 0","a":9,"b":1,"x":{"id":2,"cause":1}}
{"t":4000000,"k":"frame","n":"core-1","l":"client>core-1","a":3,"b":1,"size":33,"sum":1,"x":{"id":3,"cause":2,"what":"request","method":"shop/buy","call":7}}
{"t":4000000,"k":"fact","n":"core-1","s":"shop","f":"sold","v":{"order":"o-000017","n":3},"x":{"id":3,"src":"services/shop/sell.go:12"}}
{"t":5000000,"k":"state","n":"core-1","s":"shop","about":"o-000017","says":"I hold it"}
{"t":5000000,"k":"frame","n":"client","l":"core-1>client","a":2,"b":1,"size":3,"sum":8,"x":{"id":4,"cause":3,"what":"ack"}}
{"t":6000000,"k":"frame","n":"edge-1","l":"core-1>edge-1","a":2,"b":1,"size":3,"sum":8,"x":{"id":5,"cause":3,"what":"note","method":"shop/give"}}
{"t":6000000,"k":"missed","l":"core-1>edge-1","x":{"id":5}}
{"t":2000000000,"k":"timer","n":"core-1","l":"shop","a":2,"b":1,"x":{"id":6,"cause":3}}
{"t":2000000000,"k":"fact","n":"core-1","s":"shop","f":"lost","v":{"order":"o-000017","why":"HOSTILE"},"x":{"id":6}}
{"t":2500000000,"k":"log","n":"core-1","level":"WARN","msg":"HOSTILE","x":{"id":6}}
{"t":3000000000,"k":"fact","n":"core-1","s":"node","f":"crashed","v":{"disk-lost":true},"x":{"id":6}}
{"t":3500000000,"k":"state","n":"core-1","s":"shop","about":"o-000017","says":""}
{"t":4000000000,"k":"fact","n":"core-1","s":"node","f":"started","v":{"incarnation":2},"x":{"id":6}}
`

func shopRun() Run {
	quoted := strings.ReplaceAll(hostile, `"`, `\"`)
	return Run{
		Result: report.Result{
			Scenario: "shop " + hostile, About: hostile, Seed: 1 << 60, Verdict: report.Failed, VirtualMS: 5000, Replay: "dreamland sim " + hostile,
			Figures:      map[string]float64{"orders.sold": 1, hostile: 2},
			Expectations: []report.Expectation{{Name: "no-lost-orders", When: "always", Detail: "o-000017 is lost by " + hostile}},
			Faults:       []report.Fault{{AtMS: 1000, What: "pause " + hostile}},
		},
		Faults: []Fault{
			{At: time.Second, For: time.Second, Fault: fault.Pause{Nodes: []string{"edge-1"}}},
			{At: 2 * time.Second, Fault: fault.Isolate{Pairs: fault.Pairs{From: []string{"core-1"}, To: []string{"edge-1"}}}},
			{At: 2 * time.Second, Fault: fault.Restart{Nodes: []string{"edge-1"}}},
			{At: 9 * time.Second, Fault: fault.Pause{Nodes: []string{"edge-1"}}},
		},
		Nodes:    []Node{{Name: "core-1", Services: []string{"shop"}}, {Name: "edge-1"}, {Name: hostile}},
		HealedAt: 4 * time.Second,
		Trace:    strings.NewReader(strings.ReplaceAll(shop, "HOSTILE", quoted)),
		Object:   "o-000017",
		Story:    "the story of " + hostile,
	}
}

func pageOf(t *testing.T, sizeMax int, runs ...Run) string {
	var out bytes.Buffer
	require.NoError(t, Write(&out, runs, sizeMax))
	return out.String()
}

// dataOf reads what a page shows back out of it.
func dataOf(t *testing.T, page string) (runs []packedRun) {
	_, rest, found := strings.Cut(page, `<script type="application/json" id="data">`)
	require.True(t, found)
	text, _, _ := strings.Cut(rest, "</script>")
	require.NoError(t, json.Unmarshal([]byte(text), &runs))
	return runs
}

// TestWhatARunSaysIsNoMarkup: the page has its own two scripts, whatever nodes and
// errors are called, and its policy lets no other run.
func TestWhatARunSaysIsNoMarkup(t *testing.T) {
	page := pageOf(t, SizeMax, shopRun())
	require.Equal(t, 2, strings.Count(strings.ToLower(page), "<script"))
	require.Equal(t, 2, strings.Count(strings.ToLower(page), "</script"))
	require.NotContains(t, page, "<img")
	style, script, err := ownCode()
	require.NoError(t, err)
	require.Contains(t, page, "script-src '"+hashOf(script)+"'")
	require.Contains(t, page, "style-src '"+hashOf(style)+"'")
	require.Contains(t, page, "default-src 'none'")
	require.Contains(t, page, "<script>"+script+"</script>", "the script is what its hash is of")
	for _, never := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://", "import("} {
		require.NotContains(t, script+style, never)
	}
	for _, external := range regexp.MustCompile(`(src|href)="[^"]*"`).FindAllString(page, -1) {
		require.Equal(t, `href="data:,"`, external, "a page is one file")
	}
	require.NotContains(t, page, "{{")
	r := dataOf(t, page)[0]
	require.Equal(t, "shop "+hostile, r.Result.Scenario, "as it was")
	require.Equal(t, "1152921504606846976", r.Seed)
	require.Contains(t, r.Strings, "order=o-000017\nwhy="+hostile)
}

// item reads the columns.
func (p *packedRun) item(i int) string {
	c := &p.Items
	at := int64(0)
	for k := range i + 1 {
		at += c.T[k]
	}
	parent := -1
	if c.Parent[i] != 0 {
		parent = i - int(c.Parent[i])
	}
	return fmt.Sprintf("%d %d %s|%s|%s|%s|%s <%d", at, c.Kind[i], p.Strings[c.Node[i]], p.Strings[c.A[i]], p.Strings[c.B[i]], strings.ReplaceAll(p.Strings[c.C[i]], "\n", ","), p.Strings[c.Source[i]], parent)
}

// TestItems: what is shown, and what it follows from, back to what the user did.
func TestItems(t *testing.T) {
	run := shopRun()
	run.Trace = strings.NewReader(strings.ReplaceAll(shop, "HOSTILE", "x"))
	p := dataOf(t, pageOf(t, SizeMax, run))[0]
	var lines []string
	for i := range p.Items.T {
		lines = append(lines, p.item(i))
	}
	require.Equal(t, []string{
		"0 0 core-1|node|started|incarnation=1| <-1",
		"1000 3 ||buy 0|| <-1",
		"4000 1 core-1|request|shop/buy|client| <1",
		"4000 0 core-1|shop|sold|order=o-000017,n=3|services/shop/sell.go:12 <2",
		"5000 4 core-1|shop|o-000017|I hold it| <-1",
		"6000 1 edge-1|note|shop/give|core-1| <3",
		"2000000 5 core-1||timer of shop|| <3",
		"2000000 0 core-1|shop|lost|order=o-000017,why=x| <6",
		"2500000 2 core-1|WARN|x|| <7",
		"3000000 0 core-1|node|crashed|disk-lost=true| <8",
		"3500000 4 core-1|shop|o-000017|| <-1",
		"4000000 0 core-1|node|started|incarnation=2| <9",
	}, lines)
	require.Equal(t, []int32{5}, p.Items.Missed)
	require.Equal(t, int64(3000), p.Items.Took[2])
	require.Equal(t, 6, p.Events)
	require.Empty(t, p.Left)
}

func TestBands(t *testing.T) {
	run := shopRun()
	c, err := collect(&run)
	require.NoError(t, err)
	var lines []string
	for _, b := range bands(&run, c) {
		lines = append(lines, fmt.Sprintf("%s %s-%s %s: %s", b.node, b.from, b.to, b.kind, b.label))
	}
	require.Equal(t, []string{
		"core-1 5ms-3.5s lock: I hold it of o-000017",
		"edge-1 1s-2s pause: pause edge-1",
		"core-1 2s-4s isolate: isolate core-1",
		"core-1 3s-4s lost disk: down, and its disk is lost",
	}, lines)
}

// bigTrace has n events on so many nodes, most of them messages of which nothing
// comes.
func bigTrace(nodes, n int) string {
	var out strings.Builder
	out.WriteString(head)
	at := 0
	for id := 1; id <= n; id++ {
		at += 1_000_003
		from, to := id%nodes, (id*7+3)%nodes
		fmt.Fprintf(&out, `{"t":%d,"k":"frame","n":"node-%d","l":"node-%d>node-%d","a":1,"b":%d,"size":9,"sum":1,"x":{"id":%d,"cause":%d,"what":"request","method":"shop/m-%d","call":1}}`+"\n", at, to, from, to, id, id, max(0, id-1-id%5), id%9)
		if id%10 == 0 {
			fmt.Fprintf(&out, `{"t":%d,"k":"fact","n":"node-%d","s":"shop","f":"sold","v":{"order":"o-%06d","long":"%s"},"x":{"id":%d,"src":"shop/sell.go:%d"}}`+"\n", at, to, id%200, strings.Repeat("long ", 40), id, id%50)
		}
		if id%100 == 0 {
			fmt.Fprintf(&out, `{"t":%d,"k":"state","n":"node-%d","s":"shop","about":"o-%06d","says":"I hold it, %d"}`+"\n", at, to, id%200, id)
		}
	}
	return out.String()
}

func bigRun(nodes, n int) Run {
	run := Run{Result: report.Result{Scenario: "big", Verdict: report.Held, VirtualMS: int64(n) * 1000 / 999}, Trace: strings.NewReader(bigTrace(nodes, n)), Object: "o-000100"}
	for i := range nodes {
		run.Nodes = append(run.Nodes, Node{Name: fmt.Sprintf("node-%d", i)})
	}
	return run
}

// TestSize: a page has at most as many bytes as asked for, and says what it leaves
// out; the more there is room for, the more there is.
func TestSize(t *testing.T) {
	const n = 20_000
	last := -1
	for _, sizeMax := range []int{110 << 10, 300 << 10, 700 << 10, SizeMax} {
		page := pageOf(t, sizeMax, bigRun(50, n))
		require.LessOrEqual(t, len(page), sizeMax)
		p := dataOf(t, page)[0]
		require.Equal(t, sizeMax < SizeMax, len(p.Left) > 0, "%v", p.Left)
		require.Greater(t, len(p.Items.T), last)
		last = len(p.Items.T)
		for i := range p.Items.T {
			require.LessOrEqual(t, int(p.Items.Parent[i]), i)
		}
	}
	two := pageOf(t, 400<<10, bigRun(5, n), bigRun(5, n))
	require.LessOrEqual(t, len(two), 400<<10)
	require.Len(t, dataOf(t, two), 2)
}

// TestWithoutATrace: a run that left none still has its report.
func TestWithoutATrace(t *testing.T) {
	run := shopRun()
	run.Trace = nil
	require.Len(t, dataOf(t, pageOf(t, SizeMax, run)), 1)
	run.Trace = strings.NewReader("no trace")
	require.ErrorContains(t, Write(&bytes.Buffer{}, []Run{run}, SizeMax), "line 1 of the trace")
}

func TestKindsAreBytes(t *testing.T) {
	raw, err := json.Marshal(columns{Kind: []uint8{0, 5}})
	require.NoError(t, err)
	require.Contains(t, string(raw), `"k":"`+base64.StdEncoding.EncodeToString([]byte{0, 5})+`"`, "as data.js reads it")
}

// TestPeersHaveNames: people do not know nodes by their keys.
func TestPeersHaveNames(t *testing.T) {
	run := Run{Trace: strings.NewReader(`{"t":0,"k":"trace","version":1,"scenario":"shop","seed":1}
{"t":1,"k":"fact","n":"core-1","s":"node","f":"started","v":{"peer":"TkRPcZ"},"x":{"id":0}}
{"t":2,"k":"fact","n":"core-2","s":"shop","f":"sold","v":{"to":"TkRPcZ","not":"TkRPcZx"},"x":{"id":0}}
`)}
	c, err := collect(&run)
	require.NoError(t, err)
	require.Equal(t, "peer=TkRPcZ", c.items[0].c)
	require.Equal(t, "to=core-1\nnot=TkRPcZx", c.items[1].c)
}
