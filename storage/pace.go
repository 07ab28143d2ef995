package storage

import (
	"time"

	"github.com/taucloud/tau/transport"
)

const (
	// A peer is asked for paceFirst bytes at once to begin with; how much that
	// becomes follows what arrives, so that a page takes about a second.
	paceMin   = 1 << 10
	paceFirst = 16 << 10
	paceMax   = 1 << 20
	paceQuick = time.Second     // a page that took less may grow
	paceSlow  = 3 * time.Second // one that took longer shrinks
	// patience is how long nothing of a page may move. A page that moves may take
	// as long as it needs; a conn that is dead says so itself.
	patience = 8 * time.Second
	// pacesMax bounds for how many peers a pace is remembered.
	pacesMax = 1 << 10
)

// pace is how much to ask a peer for at once, in bytes.
type pace struct{ size int }

// paces remembers the pace of each peer.
type paces map[transport.Peer]*pace

func (ps *paces) of(p transport.Peer) *pace {
	if *ps == nil || len(*ps) >= pacesMax {
		*ps = paces{}
	}
	if (*ps)[p] == nil {
		(*ps)[p] = &pace{size: paceFirst}
	}
	return (*ps)[p]
}

// arrived says that a page came: so many bytes after so long. A page that was
// small because there was no more says nothing about the link.
func (p *pace) arrived(bytes int, took time.Duration) {
	switch {
	case took > paceSlow:
		p.size = max(paceMin, p.size/2)
	case took < paceQuick && bytes >= p.size/2:
		p.size = min(paceMax, p.size*2)
	}
}

// lost says that none came.
func (p *pace) lost() { p.size = max(paceMin, p.size/4) }
