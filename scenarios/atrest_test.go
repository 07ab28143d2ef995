package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/scenarios/words"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/run"
	"github.com/taucloud/tau/sim/scenario"
)

// resting is a cloud of n nodes, of which three are all but the monkeys, that has nothing to do after its first push.
func resting(nodes int) string {
	return fmt.Sprintf(`
name: resting
seed: 1
duration: 60s
nodes:
  - {name: core, count: 3, services: [auth, seer, tns, patrick, hoarder]}
  - {name: monkey, count: %d, services: [monkey]}
timeline: [{at: 3s, push: {project: hello, branch: main}}]
expect: {always: [no-lost-jobs]}
`, nodes-3)
}

// restFrom and restTo are when what is sent counts: all have met by then.
const restFrom, restTo = 30 * time.Second, 60 * time.Second

// sent counts the frames of a trace, by whether a core or a monkey sends them.
type sent struct {
	line           []byte
	frames         int
	cores, monkeys int // bytes
}

// Write implements io.Writer.
func (s *sent) Write(p []byte) (int, error) {
	n := len(p)
	for {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			s.line = append(s.line, p...)
			return n, nil
		}
		s.line = append(s.line, p[:end]...)
		s.count()
		s.line, p = s.line[:0], p[end+1:]
	}
}

func (s *sent) count() {
	if !bytes.Contains(s.line, []byte(`"k":"frame"`)) {
		return
	}
	var f struct {
		T    time.Duration
		L    string
		Size int
	}
	if json.Unmarshal(s.line, &f) != nil || f.T < restFrom || f.T >= restTo {
		return
	}
	s.frames++
	if bytes.HasPrefix([]byte(f.L), []byte("core")) {
		s.cores += f.Size
	} else {
		s.monkeys += f.Size
	}
}

// restOf runs a resting cloud and says what it sends.
func restOf(t testing.TB, nodes int) *sent {
	s, err := scenario.Parse("resting.yaml", []byte(resting(nodes)), words.Vocabulary())
	require.NoError(t, err)
	counted := &sent{}
	r := run.Run(s, words.Vocabulary(), run.Options{Seed: 1, Wire: scenario.Direct, Trace: counted})
	require.Equal(t, report.Held, r.Verdict)
	require.NotZero(t, counted.frames)
	return counted
}

// BenchmarkAtRest states what a cloud sends that has nothing to do, in bytes a second: of frames, without what TCP or QUIC add. It is virtual
// time that counts, so the figures are the same on every machine.
func BenchmarkAtRest(b *testing.B) {
	for _, nodes := range []int{20, 200, 1000} {
		b.Run(fmt.Sprintf("%d-nodes", nodes), func(b *testing.B) {
			for b.Loop() {
				s, seconds := restOf(b, nodes), (restTo - restFrom).Seconds()
				b.ReportMetric(float64(s.cores+s.monkeys)/seconds/float64(nodes), "B/s/node")
				b.ReportMetric(float64(s.monkeys)/seconds/float64(nodes-3), "B/s/monkey")
				b.ReportMetric(float64(s.cores)/seconds/3, "B/s/core")
				b.ReportMetric(float64(s.frames)/seconds/float64(nodes), "frames/s/node")
			}
		})
	}
}

// TestWhoIsNoSeerSendsNoMoreInALargeCloud: what a node sends at rest that is no seer does not grow with the cloud, and no more per node does what all send.
func TestWhoIsNoSeerSendsNoMoreInALargeCloud(t *testing.T) {
	small, large := restOf(t, 10), restOf(t, 40)
	require.Less(t, float64(large.monkeys)/37, 1.1*float64(small.monkeys)/7)
	require.Less(t, float64(large.monkeys+large.cores)/40, 1.2*float64(small.monkeys+small.cores)/10)
	require.Less(t, float64(large.monkeys)/37/(restTo-restFrom).Seconds(), 250.0, "bytes a second")
}
