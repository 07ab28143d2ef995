package wasi

import (
	"encoding/binary"
	"time"
)

// Clocks of the interface. Those of processor time are the monotonic one.
const (
	realtime  = 0
	monotonic = 1
	clocks    = 4
)

func (w *World) clock(id uint32) uint64 {
	if id == realtime {
		now := time.Unix(0, 0)
		if w.Now != nil {
			now = w.Now()
		}
		return uint64(now.Add(w.slept).UnixNano())
	}
	elapsed := w.slept
	if w.Elapsed != nil {
		elapsed += w.Elapsed()
	}
	return uint64(elapsed) + 1 // guests take 0 for a clock that fails
}

func clockTimeGet(w *World, m guest, p params) Errno {
	if p.u32(0) >= clocks {
		return inval
	}
	return m.put64(p.u32(2), w.clock(p.u32(0)))
}

func clockResGet(_ *World, m guest, p params) Errno {
	if p.u32(0) >= clocks {
		return inval
	}
	return m.put64(p.u32(1), 1000)
}

// Layouts of pollOneoff.
const (
	subscriptionLen = 48
	eventLen        = 32
	eventClock      = 0
	absolute        = 1 // a flag of a clock's subscription
	subscriptionMax = 1024
)

// pollOneoff waits until the earliest of several clocks; descriptors are always ready.
func pollOneoff(w *World, m guest, p params) Errno {
	in, out, count := p.u32(0), p.u32(1), p.u32(2)
	if count == 0 || count > subscriptionMax {
		return inval
	}
	subscriptions, ok := m.Read(in, count*subscriptionLen)
	if !ok {
		return fault
	}
	subscriptions = append([]byte(nil), subscriptions...) // events may be written over them
	w.pay(uint64(len(subscriptions)))
	waits := make([]uint64, count)
	shortest := ^uint64(0)
	for i := range waits {
		waits[i] = w.wait(subscriptions[i*subscriptionLen:][:subscriptionLen])
		shortest = min(shortest, waits[i])
	}
	w.sleep(shortest)
	events := uint32(0)
	for i, wait := range waits {
		if wait > shortest {
			continue
		}
		s := subscriptions[i*subscriptionLen:]
		event := make([]byte, eventLen)
		copy(event, s[:8]) // the guest's own name for it
		event[10] = s[8]
		if !m.Write(out+events*eventLen, event) {
			return fault
		}
		events++
	}
	return m.put32(p.u32(3), events)
}

// wait is how many nanoseconds are left of a subscription.
func (w *World) wait(s []byte) uint64 {
	if s[8] != eventClock {
		return 0
	}
	id, timeout := binary.LittleEndian.Uint32(s[16:]), binary.LittleEndian.Uint64(s[24:])
	if s[40]&absolute == 0 {
		return timeout
	}
	if now := w.clock(min(id, monotonic)); timeout > now {
		return timeout - now
	}
	return 0
}

// Wait is a guest's that sleeps by other ways than this interface.
func (w *World) Wait(d time.Duration) { w.sleep(uint64(max(d, 0))) }

func (w *World) sleep(nanos uint64) {
	const longest = time.Hour // a call is over long before
	d := time.Duration(min(nanos, uint64(longest)))
	if w.Sleep != nil {
		w.Sleep(d)
		return
	}
	w.slept += d
}
