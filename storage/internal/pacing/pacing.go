// Package pacing decides how much to ask a peer for at once, so that a page takes about a second on
// links of any speed.
package pacing

import (
	"time"

	"github.com/taucloud/tau/transport"
)

const (
	// A peer is asked for First bytes at once to begin with; how much that
	// becomes follows what arrives, so that a page takes about a second.
	Min   = 1 << 10
	First = 16 << 10
	Max   = 1 << 20
	Quick = time.Second     // a page that took less may grow
	Slow  = 3 * time.Second // one that took longer shrinks
	// Patience is how long a page may make no progress. A page with progress may take as long as it
	// needs; a dead conn is detected by the transport.
	Patience = 8 * time.Second
	// PeersMax bounds for how many peers a pace is remembered.
	PeersMax = 1 << 10
)

// Pace is how much to ask a peer for at once, in bytes.
type Pace struct{ Size int }

// Paces remembers the pace of each peer.
type Paces map[transport.Peer]*Pace

// Of is the pace of a peer.
func (ps *Paces) Of(p transport.Peer) *Pace {
	if *ps == nil || len(*ps) >= PeersMax {
		*ps = Paces{}
	}
	if (*ps)[p] == nil {
		(*ps)[p] = &Pace{Size: First}
	}
	return (*ps)[p]
}

// Arrived records that a page of so many bytes arrived after so long. A page that was small because
// there was no more does not count.
func (p *Pace) Arrived(bytes int, took time.Duration) {
	switch {
	case took > Slow:
		p.Size = max(Min, p.Size/2)
	case took < Quick && bytes >= p.Size/2:
		p.Size = min(Max, p.Size*2)
	}
}

// Lost records that none arrived.
func (p *Pace) Lost() { p.Size = max(Min, p.Size/4) }
