package transport

import (
	"bytes"
	"container/heap"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// pipe is a link of a speed and a latency below an outbox, and the peer at its
// end, which puts frames together and answers questions.
type pipe struct {
	out     outbox
	speed   float64 // bytes a second
	latency time.Duration
	now     time.Duration
	free    time.Duration // when the link has sent what it was given
	events  arrivals
	count   int
	arrived func(frame []byte) // a whole frame
	parts   map[uint64][]byte
	lengths map[uint64]int
	held    int // the most bytes that the peer had to hold of frames in parts
}

type arrival struct {
	at    time.Duration
	order int
	f     func()
}

type arrivals []arrival

func (h arrivals) Len() int { return len(h) }
func (h arrivals) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}
func (h arrivals) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *arrivals) Push(x any)   { *h = append(*h, x.(arrival)) }
func (h *arrivals) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func newPipe(speed float64, latency time.Duration) *pipe {
	return &pipe{out: newOutbox(), speed: speed, latency: latency, parts: map[uint64][]byte{}, lengths: map[uint64]int{}, arrived: func([]byte) {}}
}

func (p *pipe) at(at time.Duration, f func()) {
	p.count++
	heap.Push(&p.events, arrival{at: at, order: p.count, f: f})
}

func (p *pipe) push(o outbound) {
	p.out.push(o)
	p.pump()
}

// Elapsed implements elapser.
func (p *pipe) Elapsed() time.Duration { return p.now }

// pump sends what may be sent.
func (p *pipe) pump() {
	for {
		frame, _ := p.out.next(p)
		if frame == nil {
			return
		}
		p.free = max(p.free, p.now) + time.Duration(float64(len(frame))/p.speed*float64(time.Second))
		p.at(p.free+p.latency, func() { p.receive(frame) })
	}
}

func (p *pipe) receive(data []byte) {
	f, err := decodeFrame(data)
	if err != nil || len(data) > FrameLenMax {
		panic(fmt.Sprint(len(data), err))
	}
	switch f.typ {
	case frameAsk:
		p.at(p.now+p.latency, func() {
			if err := p.out.window.answer(f.id, p.now); err != nil {
				panic(err)
			}
			p.pump()
		})
	case frameBegin, framePart:
		if f.typ == frameBegin {
			p.lengths[f.id] = f.length
		}
		p.part(f)
	case frameDrop:
		delete(p.parts, f.id)
		delete(p.lengths, f.id)
	default:
		p.arrived(data)
	}
}

func (p *pipe) part(f frame) {
	p.parts[f.id] = append(p.parts[f.id], f.message...)
	held := 0
	for id := range p.parts {
		held += p.lengths[id]
	}
	p.held = max(p.held, held)
	if len(p.parts[f.id]) == p.lengths[f.id] {
		p.arrived(p.parts[f.id])
		delete(p.parts, f.id)
		delete(p.lengths, f.id)
	}
}

// run lets time pass until nothing happens any more, or until an instant.
func (p *pipe) run(until time.Duration) {
	for len(p.events) > 0 && p.events[0].at <= until {
		next := heap.Pop(&p.events).(arrival)
		p.now = next.at
		next.f()
	}
}

func named(name string, frame []byte) outbound {
	return outbound{frame: frame, flow: flowKey{lane: laneNamed, name: name}}
}

// TestBeaconsPassABacklog: on links of any speed, a small frame that is sent
// every second is late by no more than the window aims at and what cannot be
// avoided, while megabytes pass, and the link is kept busy.
func TestBeaconsPassABacklog(t *testing.T) {
	for _, row := range []struct {
		speed   float64
		latency time.Duration
		backlog int
		late    time.Duration // beyond the latency
	}{
		{8e3, 5 * time.Millisecond, 1 << 20, 1300 * time.Millisecond},
		{16e3, 5 * time.Millisecond, 2 << 20, 900 * time.Millisecond},
		{16e3, 300 * time.Millisecond, 2 << 20, 1500 * time.Millisecond},
		{64e3, 20 * time.Millisecond, 4 << 20, 700 * time.Millisecond},
		{1e6, 20 * time.Millisecond, 16 << 20, 600 * time.Millisecond},
		{40e6, 50 * time.Millisecond, 120 << 20, 600 * time.Millisecond},
	} {
		t.Run(fmt.Sprintf("%.0f B/s, %s", row.speed, row.latency), func(t *testing.T) {
			p := newPipe(row.speed, row.latency)
			sent, worst, left := []time.Duration{}, time.Duration(0), row.backlog
			var done time.Duration
			p.arrived = func(frame []byte) {
				f, _ := decodeFrame(frame)
				if f.typ == frameNote {
					late := p.now - sent[0] - row.latency
					sent = sent[1:]
					if p.now > 5*time.Second {
						worst = max(worst, late)
					}
				} else if left -= len(frame); left <= 0 {
					done = p.now
				}
			}
			for id := uint64(1); id<<20 <= uint64(row.backlog); id++ {
				response := encodeMessage(frameResponse, id, make([]byte, 1<<20))
				p.push(outbound{frame: response, flow: flowKey{lane: laneResponse, id: id}})
			}
			for done == 0 {
				p.run(p.now + time.Second)
				p.now += time.Second - p.now%time.Second
				sent = append(sent, p.now)
				p.push(named("beacon", encodeNamed(frameNote, "beacon", make([]byte, 40))))
				require.Less(t, p.now, 10*time.Minute)
			}
			ideal := time.Duration(float64(row.backlog) / row.speed * float64(time.Second))
			t.Logf("worst beacon %s late, backlog took %s of %s", worst, done, ideal)
			require.Less(t, worst, row.late)
			require.Less(t, done, ideal*5/4+20*row.latency+time.Second, "the link was left idle")
		})
	}
}

// TestWindowFollowsTheLink: when a link becomes slow, the queue becomes short
// again; when it becomes fast, it is used.
func TestWindowFollowsTheLink(t *testing.T) {
	p := newPipe(4e6, 10*time.Millisecond)
	received := 0
	p.arrived = func(frame []byte) { received += len(frame) }
	for id := range uint64(64) {
		p.push(outbound{frame: encodeMessage(frameResponse, id, make([]byte, 1<<20)), flow: flowKey{lane: laneResponse, id: id}})
	}
	p.run(2 * time.Second)
	require.Greater(t, p.out.window.size, 256<<10)
	p.speed = 16e3
	p.run(120 * time.Second)
	require.Less(t, p.out.window.size, 16<<10)
	p.speed, p.now = 4e6, 120*time.Second
	before := received
	p.run(140 * time.Second)
	require.Greater(t, received-before, 30<<20)
}

// TestOutboxLosesNothing: whatever is queued arrives once, whole, and in the
// order of its flow, and small frames are not held up by bulk.
func TestOutboxLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPipe(rapid.SampledFrom([]float64{8e3, 1e5, 1e9}).Draw(t, "speed"), time.Millisecond)
		want, got := map[string][]int{}, map[string][]int{}
		p.arrived = func(frame []byte) {
			f, err := decodeFrame(frame)
			if err != nil {
				t.Fatal(err)
			}
			name := string(f.name)
			if f.typ == frameData {
				name = fmt.Sprint("stream ", f.id)
			}
			n := len(f.message)
			if !bytes.Equal(f.message, bytes.Repeat([]byte{byte(n)}, n)) {
				t.Fatalf("%s: %d bytes were mixed up", name, n)
			}
			got[name] = append(got[name], n)
		}
		for range rapid.IntRange(1, 60).Draw(t, "frames") {
			n := rapid.SampledFrom([]int{1, 100, 2000, 3000, 20_000, 150_000}).Draw(t, "size")
			message := bytes.Repeat([]byte{byte(n)}, n)
			id := rapid.IntRange(1, 3).Draw(t, "flow")
			if rapid.Bool().Draw(t, "stream") {
				key := fmt.Sprint("stream ", id)
				want[key] = append(want[key], n)
				p.push(outbound{frame: encodeMessage(frameData, uint64(id), message), flow: flowKey{lane: laneStream, id: uint64(id)}})
			} else {
				key := fmt.Sprint("n", id)
				want[key] = append(want[key], n)
				p.push(named(key, encodeNamed(frameNote, key, message)))
			}
			p.run(p.now + time.Duration(rapid.IntRange(0, 500).Draw(t, "pause"))*time.Millisecond)
		}
		p.run(time.Hour)
		require.Equal(t, want, got)
		require.Empty(t, p.out.flows)
		require.Zero(t, p.out.bytes+p.out.streamBytes+p.out.parts+p.out.partsBytes)
		require.Less(t, p.out.window.onTheWay(), windowMin+smallLenMax, "what has arrived is not counted as being on the way")
		require.LessOrEqual(t, p.held, partsBytesMax)
	})
}

// TestPartsAreBounded: a peer need not hold more than it has agreed to, and each
// frame still gets its turn.
func TestPartsAreBounded(t *testing.T) {
	p := newPipe(1e6, time.Millisecond)
	arrived := 0
	p.arrived = func([]byte) { arrived++ }
	for id := range uint64(40) {
		size := 4<<20 - 100
		if id >= 8 {
			size = 100_000
		}
		p.push(outbound{frame: encodeMessage(frameResponse, id, make([]byte, size)), flow: flowKey{lane: laneResponse, id: id}})
	}
	p.run(time.Hour)
	require.Equal(t, 40, arrived)
	require.LessOrEqual(t, p.held, partsBytesMax)
}

func TestDroppedFlows(t *testing.T) {
	key := func(id uint64) flowKey { return flowKey{lane: laneResponse, id: id} }
	response := func(id uint64) outbound {
		return outbound{frame: encodeMessage(frameResponse, id, make([]byte, 100_000)), flow: key(id)}
	}
	p := newPipe(1e5, time.Millisecond)
	arrived := []uint64{}
	p.arrived = func(frame []byte) {
		f, _ := decodeFrame(frame)
		arrived = append(arrived, f.id)
	}
	for id := range uint64(3) {
		p.push(response(id))
	}
	p.run(100 * time.Millisecond)
	require.Equal(t, 3, p.out.parts)
	require.False(t, p.out.drop(key(1)), "in part")
	require.True(t, p.out.drop(key(1)), "twice")
	p.push(response(9))
	require.False(t, p.out.drop(key(9)), "whole")
	p.pump()
	p.run(time.Hour)
	require.Equal(t, []uint64{0, 2}, arrived)
	require.Empty(t, p.parts)
	require.True(t, p.out.drop(key(2)), "sent")
	require.Zero(t, p.out.bytes+p.out.parts+p.out.partsBytes)
}

// TestSmallLeavesBulkAShare: a flood of small frames does not stop bulk.
func TestSmallLeavesBulkAShare(t *testing.T) {
	p := newPipe(16e3, 5*time.Millisecond)
	small, bulk := 0, 0
	p.arrived = func(frame []byte) {
		if frame[0] == byte(frameNote) {
			small += len(frame)
		} else {
			bulk += len(frame)
		}
	}
	for range 300 {
		p.push(outbound{frame: encodeMessage(frameData, 1, make([]byte, 1500)), flow: flowKey{lane: laneStream, id: 1}})
	}
	for i := range 2000 {
		p.push(named(fmt.Sprint(i%5), encodeNamed(frameNote, fmt.Sprint(i%5), make([]byte, 500))))
	}
	p.run(20 * time.Second)
	share := float64(bulk) / float64(small+bulk)
	require.InDelta(t, 0.2, share, 0.05, "bulk %d, small %d", bulk, small)
}

// TestLiesAboutArrival: an answer that fits no question is a breach.
func TestLiesAboutArrival(t *testing.T) {
	w := newWindow()
	require.Error(t, w.answer(0, 1))
	w.sent = 100
	at := w.ask(1)
	require.Error(t, w.answer(at+1, 2))
	require.NoError(t, w.answer(at, 2))
	require.Error(t, w.answer(at, 2), "twice")
	require.Zero(t, w.onTheWay())
}
