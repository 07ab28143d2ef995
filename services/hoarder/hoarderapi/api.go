// Package hoarderapi is how others speak with the hoarder service: the wire
// types and a client that picks hoarders.
package hoarderapi

import (
	"time"

	"github.com/taucloud/tau/transport"
)

// Service is the hoarder's name in the directory.
const Service = "hoarder"

// Kind says what an item is. Both are kept alike; a database is the content of
// a name that changes, see MarkRequest.Version.
type Kind string

// The kinds of item.
const (
	Asset    Kind = "asset"
	Database Kind = "database"
)

// TargetDefault is how many copies an item gets when its mark does not say.
const TargetDefault = 3

// Bounds of a request; what exceeds them is Invalid.
const (
	TargetMax  = 64
	HoldersMax = 16
	TextLenMax = 256 // Root, Owner, Name, in bytes
	DemandMax  = 1 << 20
)

// MarkRequest asks that content be kept. Marking again what is marked is free.
type MarkRequest struct {
	// Root is the CID of the content's DAG.
	Root string
	Kind Kind
	// Target is the number of copies wanted; 0 means TargetDefault. Of several
	// marks of one root the highest target counts.
	Target int
	// Demand is how much the content is asked for; 0 means 1. It orders repairs.
	Demand int
	// Size is the DAG's size in bytes, 0 if unknown. A root that turns out to be
	// larger is refused.
	Size int64
	// Holders have the content now. The caller is one without being listed.
	Holders []transport.Peer
	// Owner tells marks of the same root apart: each owner withdraws its own.
	Owner string
	// Name is a database's name, unique within its owner, and Version orders its
	// snapshots: when a newer one has its copies, the older ones are let go.
	// Zero for an asset.
	Name    string
	Version uint64
}

// MarkResponse says what is durable.
type MarkResponse struct {
	// Holder has fetched, verified and synced the content.
	Holder transport.Peer
	// Bytes is the content's stored size.
	Bytes int64
	// Copies is on how many hoarders the content is durable: 1 only if one is
	// wanted, or no other that has room answered.
	Copies int
	// Records is the same for the mark itself.
	Records int
}

// RootRequest names an item.
type RootRequest struct{ Root string }

// LocateResponse lists live claimants in canonical order for this root: the
// best-ranked first.
type LocateResponse struct{ Holders []transport.Peer }

// DemandRequest reports interest in an item.
type DemandRequest struct {
	Root string
	N    int
}

// UnmarkRequest withdraws the owner's mark.
type UnmarkRequest struct{ Root, Owner string }

// DatabaseRequest asks for the newest snapshot of a database.
type DatabaseRequest struct{ Owner, Name string }

// DatabaseResponse is the newest snapshot that the hoarder knows of.
type DatabaseResponse struct {
	Root    string
	Version uint64
	Holders []transport.Peer
}

// Done is an empty response.
type Done struct{}

// HaveRequest asks a hoarder whether it really holds an item, and for a promise
// not to release it for the time that Promise in the response says.
type HaveRequest struct {
	Root    string
	Promise bool
}

// HaveResponse is given after every block was read and verified.
type HaveResponse struct {
	Has bool
	// Promise runs from when the request was received. Zero: none was given.
	Promise time.Duration
}

// StatusResponse is a hoarder about itself.
type StatusResponse struct {
	Items      int // known
	Held       int
	BytesUsed  int64
	BytesMax   int64
	Acquiring  int
	Corrupted  int // found and not repaired yet
	LiveOthers int
}

// The methods.
var (
	MarkMethod = transport.Method[MarkRequest, MarkResponse]{Name: "hoarder/mark"}
	// TakeMethod is a mark passed on by the hoarder that was asked first: the
	// second copy.
	TakeMethod     = transport.Method[MarkRequest, MarkResponse]{Name: "hoarder/take"}
	UnmarkMethod   = transport.Method[UnmarkRequest, Done]{Name: "hoarder/unmark"}
	LocateMethod   = transport.Method[RootRequest, LocateResponse]{Name: "hoarder/locate"}
	DemandMethod   = transport.Method[DemandRequest, Done]{Name: "hoarder/demand"}
	DatabaseMethod = transport.Method[DatabaseRequest, DatabaseResponse]{Name: "hoarder/database"}
	HaveMethod     = transport.Method[HaveRequest, HaveResponse]{Name: "hoarder/have"}
	StatusMethod   = transport.Method[Done, StatusResponse]{Name: "hoarder/status"}
)
