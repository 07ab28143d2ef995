// Package storagetest holds the conformance suites of package storage, to be
// run in a live and in a simulated world, and the live one.
package storagetest

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Service is what all nodes of a world offer.
const Service = "all"

// Node is one incarnation of a node.
type Node struct {
	Loop     clock.Loop
	Endpoint *transport.Endpoint
	Disk     storage.Disk
	Rand     *rand.Rand
}

// World is a few nodes that can reach each other, in real or simulated time.
type World interface {
	// Node is the present incarnation of node i.
	Node(i int) Node
	// Do runs f as a task of node i's loop and returns when f has returned.
	Do(i int, f func(ctx context.Context))
	// Restart crashes node i and starts it anew, with a new endpoint, on what
	// the crash leaves of its disk: what was flushed and the first keep writes
	// since, the last of them torn if it was no batch. keep < 0 empties the
	// disk.
	Restart(i int, keep int)
	// Partition cuts all links between nodes of different groups.
	Partition(groups ...[]int)
	// Heal ends the partition.
	Heal()
}

// Maker runs body once on a fresh world of n nodes whose directory says that
// all offer Service, and takes the world down. Body calls the world's methods
// one after the other, on the goroutine it is called on.
type Maker func(t *testing.T, nodes int, body func(w World))
