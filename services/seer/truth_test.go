package seer

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
	"pgregory.net/rapid"
)

// truth is a small cloud of which everything is known: when each node really
// sent its beacons, and what each seer really received.
type truth struct {
	now    time.Duration // also the clock of every seer, from another zero each
	seers  []*table
	nodes  []*realNode
	heard  []map[transport.Peer]time.Duration // by seer: arrival of the last prompt beacon of the present life
	flight []letter
	asks   []question
	pulls  []pullInFlight
}

type realNode struct {
	peer     transport.Peer
	life     uint64
	began    time.Duration
	lastSent time.Duration
	down     bool
}

type letter struct {
	seer   int
	from   *realNode
	beacon beaconMessage
	asked  time.Duration // by the seer's clock; zero for a beacon
}

// question is an ask that is under way to a node.
type question struct {
	seer int
	to   *realNode
	at   time.Duration // by the seer's clock
}

type pullInFlight struct {
	asker, asked int
	sentAt       time.Duration
	answer       []sighting
}

func (w *truth) clockOf(seer int) time.Duration { return w.now + time.Duration(seer)*time.Hour }

// TestTruth lets beacons be held for any time, nodes restart and lose their
// disks, seers pull over slow links, and compares the answers with what really
// happened.
func TestTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTruth(2, 2)
		t.Repeat(map[string]func(*rapid.T){
			"":        w.check,
			"advance": func(t *rapid.T) { w.now += time.Duration(rapid.IntRange(1, 40).Draw(t, "by")) * 100 * time.Millisecond },
			"beacon":  w.beacon,
			"deliver": w.deliver,
			"restart": func(t *rapid.T) {
				n := rapid.SampledFrom(w.nodes).Draw(t, "node")
				n.life, n.began, n.down = n.life+1, w.now, false
			},
			"die":    func(t *rapid.T) { rapid.SampledFrom(w.nodes).Draw(t, "node").down = true },
			"answer": w.answer,
			"pull":   w.pull,
			"pulled": w.pulled,
			"look": func(t *rapid.T) {
				i := rapid.IntRange(0, len(w.seers)-1).Draw(t, "seer")
				w.seers[i].expire(w.clockOf(i), time.Minute)
			},
		})
	})
}

func newTruth(seers, nodes int) *truth {
	w := &truth{now: time.Minute}
	for range seers {
		w.seers = append(w.seers, newTable(testGone, 100))
		w.heard = append(w.heard, map[transport.Peer]time.Duration{})
	}
	for i := range nodes {
		w.nodes = append(w.nodes, &realNode{peer: transport.Peer{byte(i + 1)}, life: 1, lastSent: -time.Hour})
	}
	return w
}

// beacon is sent by a node to a seer: it arrives at once, or is held.
func (w *truth) beacon(t *rapid.T) {
	n := rapid.SampledFrom(w.nodes).Draw(t, "node")
	seer := rapid.IntRange(0, len(w.seers)-1).Draw(t, "seer")
	if !n.down {
		w.send(t, w.letter(n, seer))
	}
}

func (w *truth) letter(n *realNode, seer int) letter {
	n.lastSent = w.now
	return letter{seer: seer, from: n, beacon: beaconMessage{Life: n.life, At: w.now - n.began, Revision: 1,
		Announcement: &announcement{Incarnation: n.life}}}
}

func (w *truth) send(t *rapid.T, l letter) {
	if rapid.Bool().Draw(t, "held") {
		w.flight = append(w.flight, l)
		return
	}
	w.hear(l)
	w.heard[l.seer][l.from.peer] = w.now
}

func (w *truth) hear(l letter) {
	now := w.clockOf(l.seer)
	if w.seers[l.seer].hear(now, l.from.peer, l.beacon, l.asked) {
		w.asks = append(w.asks, question{seer: l.seer, to: l.from, at: now})
	}
}

// deliver releases a held beacon, in any order. The first that a seer hears of a
// life tells it nothing about delays, so only later ones are held here.
func (w *truth) deliver(t *rapid.T) {
	if len(w.flight) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.flight)-1).Draw(t, "letter")
	l := w.flight[i]
	m := w.seers[l.seer].members[l.from.peer]
	if m == nil || m.life != l.beacon.Life || !m.pace.heard {
		return
	}
	w.flight = append(w.flight[:i:i], w.flight[i+1:]...)
	w.hear(l)
}

// answer lets a question reach its node after any time, and the answer go.
func (w *truth) answer(t *rapid.T) {
	q, found := takeAny(t, &w.asks, "question")
	if !found || q.to.down {
		return
	}
	l := w.letter(q.to, q.seer)
	l.asked = q.at
	w.send(t, l)
}

// takeAny removes one by lot, if there is any.
func takeAny[E any](t *rapid.T, list *[]E, label string) (e E, found bool) {
	if len(*list) == 0 {
		return e, false
	}
	i := rapid.IntRange(0, len(*list)-1).Draw(t, label)
	e = (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	return e, true
}

func (w *truth) pull(t *rapid.T) {
	p := pullInFlight{
		asker: rapid.IntRange(0, len(w.seers)-1).Draw(t, "asker"), sentAt: w.now,
		asked: rapid.IntRange(0, len(w.seers)-1).Draw(t, "asked"),
	}
	p.answer, _ = w.seers[p.asked].digest(w.clockOf(p.asked), transport.Peer{})
	w.pulls = append(w.pulls, p)
}

func (w *truth) pulled(t *rapid.T) {
	p, found := takeAny(t, &w.pulls, "pull")
	if !found {
		return
	}
	for _, h := range p.answer {
		h.Age += w.now - p.sentAt
		if w.seers[p.asker].merge(w.clockOf(p.asker), h) {
			w.seers[p.asker].learn(w.clockOf(p.asker), record{
				Peer: h.Peer, Life: h.Life, Revision: h.Revision, Announcement: announcement{Incarnation: h.Life}})
		}
	}
}

func (w *truth) check(t *rapid.T) {
	for i, seer := range w.seers {
		answers := map[transport.Peer]time.Duration{}
		members, _ := seer.lookup(w.clockOf(i), "", transport.Peer{})
		for _, m := range members {
			answers[m.Peer] = m.Age
		}
		for _, n := range w.nodes {
			age, present := answers[n.peer]
			if present {
				truth := w.now - n.lastSent
				drift := w.now / driftDivisor
				require.LessOrEqual(t, truth, age+seer.lateness()+drift, "node %d is made younger than it is", n.peer[0])
				require.Less(t, truth, testGone+seer.lateness()+drift, "seer %d names the dead", i)
			}
			if at, ok := w.heard[i][n.peer]; ok && w.now-at < testGone {
				require.True(t, present, "seer %d misses node %d, heard %s ago", i, n.peer[0], w.now-at)
			}
		}
	}
}
