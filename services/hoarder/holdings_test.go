package hoarder

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
	"pgregory.net/rapid"
)

const testLease = 20 * time.Second

func TestHoldings(t *testing.T) {
	l := newHoldings(100, testLease, 0)
	require.False(t, l.reserve(101))
	require.True(t, l.reserve(60))
	require.Equal(t, int64(40), l.free())
	l.admit("a", 50)
	l.unreserve(60)
	require.Equal(t, int64(50), l.free())

	require.True(t, l.mayRelease("a", testLease-1), "it has come after the start")
	l.stocked()
	require.False(t, l.beginRelease("a", testLease-1), "promises from before the start may stand")
	require.False(t, l.promise("b", 0), "nothing is promised that is not here")
	now := 2 * testLease
	require.True(t, l.promise("a", now))
	require.False(t, l.beginRelease("a", now+testLease-1))
	require.True(t, l.beginRelease("a", now+testLease))
	require.False(t, l.promise("a", now+testLease), "nothing is promised that is about to go")
	require.False(t, l.beginRelease("a", now+testLease), "once is enough")
	asked := now + testLease
	require.False(t, l.mayFinish("a", asked, 2, 3, asked))
	require.True(t, l.mayFinish("a", asked, 3, 3, asked))
	require.False(t, l.mayFinish("a", asked, 3, 3, asked+testLease/2), "confirmations grow old")
	l.endRelease("a")
	require.False(t, l.mayFinish("a", asked, 3, 3, asked))
	l.drop("a")
	require.Equal(t, int64(100), l.free())
}

func TestWhatIsMendedStays(t *testing.T) {
	l := newHoldings(100, testLease, 0)
	require.False(t, l.beginMend("a"), "what is not here is not mended")
	l.admit("a", 50)
	now := 2 * testLease
	require.True(t, l.beginMend("a"))
	require.False(t, l.beginMend("a"), "once is enough")
	require.False(t, l.beginRelease("a", now))
	require.False(t, l.promise("a", now), "nothing is promised that is rotten")
	l.endMend("a")
	require.True(t, l.beginRelease("a", now))
	require.True(t, l.beginMend("a"), "rot may be found while others are asked")
	require.False(t, l.mayFinish("a", now, 3, 3, now), "the mending would bring back what has gone")
	l.endMend("a")
	require.True(t, l.mayFinish("a", now, 3, 3, now))
}

// TestNoInterleavingDropsTheLastCopies lets many holders of one item release
// against each other in any order of messages: what each believes of the others'
// claims is wrong at will, confirmations are delayed and lost, holders crash
// and come back with and without their disk, clocks run up to a tenth apart,
// and time passes at any moment. Whoever follows the protocol never brings the
// number of copies below the target; only lost disks do.
func TestNoInterleavingDropsTheLastCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 8).Draw(t, "holders")
		w := &ledgerWorld{now: 2 * testLease, target: rapid.IntRange(1, 3).Draw(t, "target")}
		for i, p := range somePeers(n) {
			h := &holder{peer: p, rate: rapid.IntRange(90, 110).Draw(t, fmt.Sprint("rate ", i)), up: true}
			h.holdings = newHoldings(1<<20, testLease, 0)
			h.holdings.admit("x", 1)
			h.holdings.stocked()
			w.holders = append(w.holders, h)
		}
		w.floor = min(n, w.target)
		t.Repeat(map[string]func(*rapid.T){
			"ask":       w.ask,
			"answer":    w.answer,
			"release":   w.finish,
			"give up":   w.giveUp,
			"time":      w.pass,
			"crash":     w.crash,
			"restart":   w.restart,
			"lose disk": w.loseDisk,
			"":          w.check,
		})
	})
}

// holder is a hoarder reduced to its holdings and at most one release.
type holder struct {
	peer      transport.Peer
	holdings  *holdings
	rate      int // of its clock, in percent
	started   time.Duration
	up        bool
	asking    bool
	askedAt   time.Duration
	confirmed map[transport.Peer]bool
}

type ledgerWorld struct {
	now     time.Duration
	target  int
	floor   int // copies that must be there
	holders []*holder
}

func (w *ledgerWorld) clock(h *holder) time.Duration {
	return (w.now - h.started) * time.Duration(h.rate) / 100
}

func (w *ledgerWorld) any(t *rapid.T, ok func(*holder) bool) *holder {
	h := w.holders[rapid.IntRange(0, len(w.holders)-1).Draw(t, "holder")]
	if !ok(h) {
		t.Skip()
	}
	return h
}

func (w *ledgerWorld) ask(t *rapid.T) {
	h := w.any(t, func(h *holder) bool { return h.up && !h.asking && h.holdings.beginRelease("x", w.clock(h)) })
	h.asking, h.askedAt, h.confirmed = true, w.clock(h), map[transport.Peer]bool{}
}

// answer is one confirmation from a holder that ranks before the one who asks.
func (w *ledgerWorld) answer(t *rapid.T) {
	h := w.any(t, func(h *holder) bool { return h.up && h.asking })
	for _, from := range w.holders {
		if from.up && mayVouch(from.peer, h.peer) && rapid.Bool().Draw(t, "answers") && from.holdings.promise("x", w.clock(from)) {
			h.confirmed[from.peer] = true
		}
	}
}

func mayVouch(from, to transport.Peer) bool { return rendezvous.Of("x").Better(from, to) }

func (w *ledgerWorld) finish(t *rapid.T) {
	h := w.any(t, func(h *holder) bool { return h.up && h.asking })
	if h.holdings.mayFinish("x", h.askedAt, len(h.confirmed), w.target, w.clock(h)) {
		h.holdings.drop("x")
	}
	h.holdings.endRelease("x")
	h.asking = false
}

func (w *ledgerWorld) giveUp(t *rapid.T) {
	h := w.any(t, func(h *holder) bool { return h.up && h.asking })
	h.holdings.endRelease("x")
	h.asking = false
}

func (w *ledgerWorld) pass(t *rapid.T) {
	w.now += time.Duration(rapid.SampledFrom([]int{100, 3000, 9000, 12000, 21000}).Draw(t, "ms")) * time.Millisecond
}

func (w *ledgerWorld) crash(t *rapid.T) {
	h := w.any(t, func(h *holder) bool { return h.up })
	h.up, h.asking = false, false
}

func (w *ledgerWorld) restart(t *rapid.T) {
	h := w.any(t, func(h *holder) bool { return !h.up })
	held := h.holdings.holds("x")
	h.up, h.started = true, w.now
	h.holdings = newHoldings(1<<20, testLease, w.clock(h))
	if held {
		h.holdings.admit("x", 1)
		h.holdings.stocked()
	}
}

// loseDisk takes a copy away from outside: the floor sinks with it. A holder
// that it has confirmed to may count on it for half a lease: so does the floor.
func (w *ledgerWorld) loseDisk(t *rapid.T) {
	h := w.any(t, func(h *holder) bool { return h.up && h.holdings.holds("x") })
	h.up, h.asking = false, false
	h.holdings = newHoldings(1<<20, testLease, 0)
	deceived := 0
	for _, o := range w.holders {
		if o.asking && o.confirmed[h.peer] {
			deceived++
		}
	}
	w.floor = min(w.floor, w.copies()-deceived)
}

func (w *ledgerWorld) copies() int {
	n := 0
	for _, h := range w.holders {
		if h.holdings.holds("x") {
			n++
		}
	}
	return n
}

func (w *ledgerWorld) check(t *rapid.T) {
	require.GreaterOrEqual(t, w.copies(), w.floor, "copies of an item with target %d", w.target)
}
