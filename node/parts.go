package node

import "github.com/taucloud/tau/storage"

// World is what a node stands on: the live one or a simulated one.
type World struct {
	Disk     storage.Disk
	Observer Observer
}

type parts struct{ world World }
