package tracefile

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const head = `{"t":0,"k":"trace","version":1,"scenario":"shop","seed":"18446744073709551615"}` + "\n"

const run = head + `{"t":1000000,"k":"world","l":"buy 0","a":1,"b":0,"x":{"id":1,"cause":0}}
{"t":1000000,"k":"start","n":"client","l":"buy 0","a":9,"b":1,"x":{"id":2,"cause":1}}
{"t":4000000,"k":"frame","n":"core-1","l":"client>core-1","a":3,"b":1,"size":33,"sum":"-968167524707850106","x":{"id":3,"cause":2,"what":"request","method":"shop/buy","call":7}}
{"t":4000000,"k":"fact","n":"core-1","s":"shop","f":"sold","v":{"order":"o-17","n":3,"paid":true,"note":"a \"b\" é","owner":"east/o-18"},"x":{"id":3,"src":"services/shop/sell.go:12"}}
{"t":4000000,"k":"state","n":"core-1","s":"shop","about":"o-17","says":"sold"}
{"t":5000000,"k":"frame","n":"client","l":"core-1>client","a":2,"b":1,"size":3,"sum":8,"x":{"id":4,"cause":3,"what":"response","method":"shop/buy","call":7}}
{"t":5000000,"k":"missed","l":"core-1>client","x":{"id":4}}
{"t":6000000,"k":"frame","n":"client","l":"core-1>client","a":2,"b":2,"size":3,"sum":8,"x":{"id":5,"cause":3,"what":"ack"}}
{"t":7000000,"k":"log","n":"core-1","level":"WARN","msg":"nobody\u001b[2J answers","x":{"id":5}}
{"t":8000000,"k":"state","n":"core-1","s":"shop","about":"o-17","says":""}
`

func show(t *testing.T, f Filter) string {
	var out strings.Builder
	_, err := Show(strings.NewReader(run), &out, f, false)
	require.NoError(t, err)
	return out.String()
}

func TestShow(t *testing.T) {
	require.Equal(t, `0.001000                WORLD buy 0  #1 after #0
0.004000     core-1     client -> core-1  request shop/buy  #3 after #2
0.004000     core-1     shop sold order=o-17 n=3 paid=true note="a \"b\" é" owner=east/o-18  services/shop/sell.go:12
0.004000     core-1     shop believes of o-17: sold
0.005000     client     core-1 -> client  response shop/buy  #4 after #3
0.005000                the frame before is not heard: core-1>client
0.007000     core-1     WARN nobody?[2J answers
0.008000     core-1     shop believes nothing of o-17 any more
`, show(t, Filter{}))
	require.Contains(t, show(t, Filter{All: true}), "task buy 0 begins  #2 after #1")
	require.Contains(t, show(t, Filter{All: true}), "core-1 -> client  ack  #5 after #3")
	lines := func(f Filter) int { return strings.Count(show(t, f), "\n") }
	require.Equal(t, 3, lines(Filter{Node: "client"}), "what it sent, and got, and that this was not heard")
	require.Equal(t, 5, lines(Filter{Service: "shop"}))
	require.Equal(t, 3, lines(Filter{Object: "o-17"}))
	require.Equal(t, 1, lines(Filter{Object: "o-18"}), "the end of a path")
	for _, f := range []Filter{{Object: "o-1"}, {Object: "3"}, {Object: "true"}, {Node: "core"}, {Service: "shops"}} {
		_, err := Show(strings.NewReader(run), io.Discard, f, false)
		var unknown *Unknown
		require.ErrorAs(t, err, &unknown, "%v", f)
	}
	_, err := Show(strings.NewReader(""), io.Discard, Filter{Node: "x"}, false)
	require.ErrorIs(t, err, ErrEmpty)
	require.Equal(t, 4, lines(Filter{From: 2 * time.Millisecond, To: 5 * time.Millisecond})-1)
}

func TestShowRaw(t *testing.T) {
	var out strings.Builder
	n, err := Show(strings.NewReader(run), &out, Filter{All: true}, true)
	require.NoError(t, err)
	require.Equal(t, run, out.String())
	require.Equal(t, 10, n)
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"t":1,"k":"fact","n":`:                      "line 1 of the trace: expected one JSON object",
		`{"t":1,"k":"fact","n":"a"}`:                  "line 1 of the trace: expected {\"t\":0",
		`{"t":0,"k":"trace","version":2}`:             "line 1 of the trace: expected",
		head + `[]`:                                   "line 2 of the trace",
		head + `{"a":[1]}`:                            "line 2 of the trace",
		head + `{"v":{"a":{"b":1}}}`:                  "line 2 of the trace",
		head + `{"a":1}x`:                             "line 2 of the trace",
		head + "{\"a\":\"\x01\"}":                     "line 2 of the trace",
		head + `{"a":"` + strings.Repeat("x", 17<<20): "more than 16777216 bytes",
	} {
		_, err := Show(strings.NewReader(text), io.Discard, Filter{}, false)
		require.ErrorContains(t, err, want)
	}
}

// TestParseAgrees: whatever the fields are, they are what encoding/json reads.
func TestParseAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fields := rapid.MapOfN(rapid.String(), rapid.String(), 0, 5).Draw(t, "fields")
		name := rapid.String().Draw(t, "name")
		text, err := json.Marshal(map[string]any{"t": 5, "k": "fact", "f": name, "v": fields})
		require.NoError(t, err)
		r := NewReader(strings.NewReader(head + string(text)))
		var l Line
		require.NoError(t, r.Next(&l))
		require.NoError(t, r.Next(&l))
		require.Equal(t, name, l.Name)
		require.Len(t, l.Fields, len(fields))
		for _, f := range l.Fields {
			require.Equal(t, fields[f.Name], f.Value)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add(run)
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = Show(strings.NewReader(text), io.Discard, Filter{All: true}, false)
	})
}

func TestDiff(t *testing.T) {
	d, err := Diff(strings.NewReader(run), strings.NewReader(run))
	require.NoError(t, err)
	require.Zero(t, d.Line)
	besides := strings.ReplaceAll(strings.ReplaceAll(run, "sell.go:12", "sell.go:13"), `"says":"sold"`, `"says":"gone"`)
	d, err = Diff(strings.NewReader(run), strings.NewReader(besides))
	require.NoError(t, err)
	require.Zero(t, d.Line, "what does not count for the digest is no difference")
	other := strings.Replace(run, `"n":3,"paid"`, `"n":4,"paid"`, 1)
	d, err = Diff(strings.NewReader(run), strings.NewReader(other))
	require.NoError(t, err)
	var out bytes.Buffer
	d.Write(&out)
	require.Equal(t, `the traces differ from line 5 on
  both    trace of format 1, scenario shop, seed 18446744073709551615
  both    0.001000                WORLD buy 0  #1 after #0
  both    0.001000     client     task buy 0 begins  #2 after #1
  both    0.004000     core-1     client -> core-1  request shop/buy  #3 after #2
  first   0.004000     core-1     shop sold order=o-17 n=3 paid=true note="a \"b\" é" owner=east/o-18  services/shop/sell.go:12
  first   0.005000     client     core-1 -> client  response shop/buy  #4 after #3
  first   0.005000                the frame before is not heard: core-1>client
  first   0.006000     client     core-1 -> client  ack  #5 after #3
  first   0.007000     core-1     WARN nobody?[2J answers
  first   (the trace ends)
  what led to the first of these lines
    #3       0.004000     core-1     client -> core-1  request shop/buy
    #2       0.001000     client     task buy 0 begins
    #1       0.001000                WORLD buy 0
  second  0.004000     core-1     shop sold order=o-17 n=4 paid=true note="a \"b\" é" owner=east/o-18  services/shop/sell.go:12
  second  0.005000     client     core-1 -> client  response shop/buy  #4 after #3
  second  0.005000                the frame before is not heard: core-1>client
  second  0.006000     client     core-1 -> client  ack  #5 after #3
  second  0.007000     core-1     WARN nobody?[2J answers
  second  (the trace ends)
  what led to the first of these lines
    #3       0.004000     core-1     client -> core-1  request shop/buy
    #2       0.001000     client     task buy 0 begins
    #1       0.001000                WORLD buy 0
`, out.String())
	d, err = Diff(strings.NewReader(run), strings.NewReader(head))
	require.NoError(t, err)
	require.Equal(t, 2, d.Line)
	require.Empty(t, d.B)
	_, err = Diff(strings.NewReader(run), strings.NewReader("x"))
	require.ErrorContains(t, err, "the second trace: line 1")
}

func TestHistory(t *testing.T) {
	h, r := NewHistory(), NewReader(strings.NewReader(run))
	var l Line
	for r.Next(&l) == nil {
		h.Add(&l)
	}
	require.Equal(t, 5, h.Len())
	chain := h.Chain(4, 10)
	require.Len(t, chain, 4)
	require.Equal(t, "core-1 -> client  response shop/buy (not heard)", chain[0].Says())
	require.Equal(t, KindWorld, chain[3].Kind)
	require.Len(t, h.Chain(4, 2), 2)
	_, found := h.Event(6)
	require.False(t, found)
}

func TestDurationsAreShownWithUnits(t *testing.T) {
	for want, f := range map[string]Field{
		"24h0m0s":        {Name: "for", Value: "86400000000000"},
		"1.5ms":          {Name: "took", Value: "1500000"},
		"2h":             {Name: "for", Value: "2h", Text: true},
		"86400000000000": {Name: "size", Value: "86400000000000"},
		"true":           {Name: "took", Value: "true"},
	} {
		require.Equal(t, want, f.Shown())
	}
}
