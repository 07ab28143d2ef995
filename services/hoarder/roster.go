package hoarder

import (
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
)

// roster is which hoarders there are, who of them is missing since when, and
// how much room they have said they have. Nobody is missing until somebody who
// knows has said so.
type roster struct {
	self    transport.Peer
	grace   time.Duration
	all     []transport.Peer // canonical order
	missing map[transport.Peer]time.Duration
	given   map[transport.Peer]bool // missing for longer than grace: given up
	room    map[transport.Peer]int64
}

func newRoster(self transport.Peer, grace time.Duration) *roster {
	return &roster{
		self:    self,
		grace:   grace,
		missing: map[transport.Peer]time.Duration{},
		given:   map[transport.Peer]bool{},
		room:    map[transport.Peer]int64{},
	}
}

// know adds hoarders to those that exist.
func (r *roster) know(peers []transport.Peer) {
	for _, p := range peers {
		if i, found := slices.BinarySearchFunc(r.all, p, transport.Peer.Compare); !found {
			r.all = slices.Insert(slices.Clone(r.all), i, p)
		}
	}
}

// saw records that a peer lives or is missing; it returns whether that is news.
func (r *roster) saw(p transport.Peer, lives bool, now time.Duration) bool {
	_, was := r.missing[p]
	switch {
	case p == r.self:
		return false
	case lives && was:
		delete(r.missing, p)
		delete(r.given, p)
		return true
	case !lives && !was:
		r.missing[p] = now
		delete(r.room, p)
		return true
	}
	return false
}

// giveUp returns who has now been missing for longer than the grace, in
// canonical order.
func (r *roster) giveUp(now time.Duration) []transport.Peer {
	var news []transport.Peer
	for _, p := range r.all {
		if at, missing := r.missing[p]; missing && !r.given[p] && now-at >= r.grace {
			r.given[p] = true
			news = append(news, p)
		}
	}
	return news
}

// lives reports whether p is not missing.
func (r *roster) lives(p transport.Peer) bool {
	_, missing := r.missing[p]
	return !missing
}

// counts reports whether p's copies still count.
func (r *roster) counts(p transport.Peer) bool { return !r.given[p] }

// hasRoom reports whether p may have room for as many bytes.
func (r *roster) hasRoom(p transport.Peer, bytes int64) bool {
	free, known := r.room[p]
	return !known || free >= bytes
}

// liveCount is the number of hoarders that are not missing.
func (r *roster) liveCount() int {
	n := 0
	for _, p := range r.all {
		if r.lives(p) {
			n++
		}
	}
	return n
}
