package hoarder

import (
	"cmp"
	"slices"
	"time"

	"github.com/taucloud/tau/node"
)

// expiry is the end of a pin with a limited duration: at is on this node's monotonic clock, counted
// from when this incarnation first saw the pin. So a pin never ends too early.
type expiry struct {
	at          time.Duration
	root, owner string
	seq         uint64
}

func (a expiry) compare(b expiry) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.root, b.root), cmp.Compare(a.owner, b.owner), cmp.Compare(a.seq, b.seq))
}

// expiries are in the order of their ends. An expiry whose pin has been withdrawn is dropped when
// it is due.
type expiries struct{ list []expiry }

// add is called when a pin has been seen that was not known before.
func (l *expiries) add(root string, m *pin, now time.Duration) {
	if m.For > 0 {
		e := expiry{now + m.For, root, m.owner, m.Seq}
		i, _ := slices.BinarySearchFunc(l.list, e, expiry.compare)
		l.list = slices.Insert(l.list, i, e)
	}
}

// ended removes and returns the expiries that are due.
func (l *expiries) ended(now time.Duration) []expiry {
	n := 0
	for n < len(l.list) && l.list[n].at <= now {
		n++
	}
	over := l.list[:n:n]
	l.list = l.list[n:]
	return over
}

// endPins withdraws the pins that have expired. The best-ranked live hoarder does it; the others
// check again later, in case it has crashed.
func (s *Service) endPins() {
	now := s.env.Loop.Elapsed()
	for _, e := range s.index.expiries.ended(now) {
		it := s.index.items[e.root]
		if it == nil {
			continue
		}
		m := it.says(e.owner)
		if m == nil || m.Seq != e.seq || m.For == 0 {
			continue
		}
		if s.best(e.root) {
			err := s.withdraw(it, e.owner, e.seq)
			if err == nil {
				s.env.Observe("pin-withdrawn", node.F("root", e.root), node.F("owner", m.Owner), node.F("name", m.Name),
					node.F("seq", e.seq), node.F("why", "ended"))
				continue
			}
			s.env.Log.Warn("pin not ended", "root", e.root, "err", err)
		}
		e.at = now + expiryRetry
		i, _ := slices.BinarySearchFunc(s.index.expiries.list, e, expiry.compare)
		s.index.expiries.list = slices.Insert(s.index.expiries.list, i, e)
	}
}

// expiryRetry is the delay after which a hoarder that did not end a pin checks it again.
const expiryRetry = 30 * time.Second
