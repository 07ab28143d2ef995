// Libraries draw from the global random numbers, which this makes the same in each process.
//go:debug randautoseed=0

// Command gossipsim runs stories about gossipsub.
package main

import (
	"example.com/gossip"
	"github.com/taucloud/tau/dreamland"
)

func main() { dreamland.Main(gossip.Vocabulary()) }
