package libp2p

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

// deadlines counts what was set.
type deadlines struct{ set, cleared int }

func (d *deadlines) SetReadDeadline(t time.Time) error {
	if t.IsZero() {
		d.cleared++
	} else {
		d.set++
	}
	return nil
}

func framed(frames ...[]byte) (stream []byte) {
	for _, f := range frames {
		stream = append(binary.AppendUvarint(stream, uint64(len(f))), f...)
	}
	return stream
}

func TestReadFrame(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), transport.FrameLenMax/16)
	frames := [][]byte{[]byte("a"), big, big[:5000], []byte("z")}
	for name, source := range map[string]func(io.Reader) io.Reader{
		"at once":   func(r io.Reader) io.Reader { return r },
		"in halves": iotest.HalfReader,
		"in bytes":  iotest.OneByteReader,
	} {
		r, d := bufio.NewReader(source(bytes.NewReader(framed(frames...)))), &deadlines{}
		for _, want := range frames {
			got, err := readFrame(r, d, time.Second, 0)
			require.NoError(t, err, name)
			require.Equal(t, want, got, name)
			require.Equal(t, d.set, d.cleared, name)
		}
		if name == "at once" {
			require.Equal(t, 2, d.set, "a frame that is here needs no deadline")
		}
		_, err := readFrame(r, d, time.Second, 0)
		require.Equal(t, io.EOF, err)
	}
}

// TestFramesGrowAsTheyCome: a length costs the sender's bytes, not ours.
func TestFramesGrowAsTheyCome(t *testing.T) {
	for _, sent := range []int{0, 1, 5000, 20_000} {
		r := &greedy{sent: sent}
		_, err := readGrowing(r, transport.FrameLenMax, firstReadLen)
		require.Error(t, err)
		require.LessOrEqual(t, r.offered, max(firstReadLen, 4*sent), "%d sent", sent)
	}
}

// greedy hands out so many bytes, and notes how much room it was offered.
type greedy struct{ sent, given, offered int }

func (g *greedy) Read(p []byte) (int, error) {
	g.offered = max(g.offered, g.given+len(p))
	if g.given == g.sent {
		return 0, io.EOF
	}
	n := min(len(p), g.sent-g.given)
	g.given += n
	return n, nil
}

// TestTrustGrows: whoever has sent much is believed that it will send as much again.
func TestTrustGrows(t *testing.T) {
	for _, row := range []struct {
		before int64
		want   int
	}{
		{0, firstReadLen}, {trustedPart*firstReadLen + trustedPart - 1, firstReadLen}, {trustedPart * 2 * firstReadLen, 2 * firstReadLen},
		{trustedPart * transport.FrameLenMax * 10, transport.FrameLenMax},
	} {
		g := &greedy{}
		header := bytes.NewReader(binary.AppendUvarint(nil, transport.FrameLenMax))
		_, err := readFrame(bufio.NewReaderSize(io.MultiReader(header, g), 16), &deadlines{}, time.Second, row.before)
		require.Error(t, err)
		require.Equal(t, row.want, g.offered, "%d before", row.before)
	}
}

// FuzzReadFrame: no bytes make it panic or return anything that is out of
// bounds, and what it returns is what was sent.
func FuzzReadFrame(f *testing.F) {
	f.Add(framed([]byte("a"), []byte("bc")))
	f.Add([]byte{0})
	f.Add(binary.AppendUvarint(nil, transport.FrameLenMax+1))
	f.Add(bytes.Repeat([]byte{0xff}, 11))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r, d := bufio.NewReader(bytes.NewReader(stream)), &deadlines{}
		for rest := stream; ; {
			got, err := readFrame(r, d, time.Second, 0)
			if err != nil {
				return
			}
			require.NotEmpty(t, got)
			require.LessOrEqual(t, len(got), transport.FrameLenMax)
			_, n := binary.Uvarint(rest)
			require.Equal(t, rest[n:n+len(got)], got)
			rest = rest[n+len(got):]
		}
	})
}
