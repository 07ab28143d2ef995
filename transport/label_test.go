package transport

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLabels of all types of frames, by the names of their examples.
func TestLabels(t *testing.T) {
	want := map[string]FrameLabel{
		"request":     {What: "request", Method: "a/b", ID: 300},
		"response":    {What: "response", ID: 7, Ends: true},
		"failure":     {What: "failure", ID: 8, Ends: true},
		"cancel":      {What: "cancel", ID: 9, Ends: true},
		"note":        {What: "note", Method: "a/n"},
		"publication": {What: "publication", Method: "a/t"},
		"open":        {What: "open", Method: "a/s", ID: 1},
		"data":        {What: "data", ID: 2},
		"credit":      {What: "credit"},
		"end":         {What: "end", ID: 3},
		"begin":       {What: "begin"},
		"part":        {What: "part"},
		"drop":        {What: "drop"},
		"decline":     {What: "decline", ID: 9, Ends: true},
		"ask":         {What: "ask"},
		"ack":         {What: "ack"},
		"reset":       {What: "reset", ID: 4, Ends: true},
		"hello":       {What: "hello"},
		"retire":      {What: "retire"},
		"credentials": {What: "credentials"},
	}
	seen := map[frameType]bool{}
	for _, row := range frames {
		seen[row.want.typ] = true
		if label, named := want[row.name]; named {
			require.Equal(t, label, LabelOf(row.data), row.name)
		}
	}
	for typ := frameRequest; typ < frameUnknown; typ++ {
		require.True(t, seen[typ], "an example of type %d", typ)
	}
}

// TestLabelsOfParts: a frame that comes in parts is named after the whole one, unless that is
// none that may come so; and what nobody knows has no name.
func TestLabelsOfParts(t *testing.T) {
	note := encodeNamed(frameNote, "a/\xff", []byte("x"))
	reset := encodeFailure(frameReset, 4, &Error{Kind: Refused, Op: "a/b"})
	require.Equal(t, FrameLabel{What: "note", Method: "a/?"}, LabelOf(encodeBegin(7, 1<<20, note)))
	require.Equal(t, FrameLabel{What: "reset", ID: 4, Ends: true}, LabelOf(encodeBegin(7, 1<<20, reset)))
	require.Equal(t, FrameLabel{What: "begin"}, LabelOf(encodeBegin(7, 1<<20, encodeBegin(8, 1<<20, note))))
	for _, none := range [][]byte{nil, {}, {0}, {byte(frameUnknown)}, {byte(frameUnknown) + 1}, {byte(frameCritical)}, {byte(frameNote)}} {
		require.Zero(t, LabelOf(none), "%x", none)
	}
}
