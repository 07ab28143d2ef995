package hoarderapi

import (
	"time"

	"github.com/taucloud/tau/transport"
)

// Kind is the kind of an item. Both kinds are kept alike; a database is a sequence of snapshots
// under one name, see PinRequest.Version.
type Kind string

// The kinds of item.
const (
	Asset    Kind = "asset"
	Database Kind = "database"
)

// TargetDefault is how many copies an item gets when its pin does not say.
const TargetDefault = 3

// Bounds of a request; one that exceeds them is Invalid.
const (
	TargetMax  = 64
	HoldersMax = 16
	TextLenMax = 256 // Root, Owner, Name, in bytes
	DemandMax  = 1 << 20
	ForMax     = 30 * 24 * time.Hour
	// OwnersMax bounds the owners of one item, and separately the remembered former ones; further
	// ones are Refused.
	OwnersMax = 1024
	// OwnedPage is how many pins one answer to Owned or Owners lists at most.
	OwnedPage = 256
	// NonceLen is the length of a nonce in bytes.
	NonceLen = 32
)

// Forever is the Seq of an Unpin that no later pin of the same owner undoes: for owners that pin
// only once, such as a version of a branch.
const Forever = ^uint64(0)

// PinRequest asks that content be kept for an owner. An item is kept while it has an owner,
// whatever others withdraw. Repeating a pin costs nothing.
type PinRequest struct {
	// Root is the CID of the content's DAG.
	Root string
	Kind Kind
	// Target is the number of copies wanted; 0 means TargetDefault. Of several
	// owners of one root the highest target counts.
	Target int
	// Demand is the expected demand for the content; 0 means 1. It orders repairs.
	Demand int
	// Size is the DAG's size in bytes, 0 if unknown. A root that turns out to be
	// larger is refused.
	Size int64
	// Holders have the content now. The caller is one without being listed.
	Holders []transport.Peer
	// Owner identifies the owner and is never empty: "tns/site/main/000042". Name is a database's
	// name, unique within its owner and empty for an asset. For each root, Owner and Name together
	// have one pin or one withdrawal.
	Owner string
	Name  string
	// Seq is the owner's own counter. Of one owner's pins and withdrawals of a root the one with
	// the highest Seq counts, and the withdrawal among equals: so a late or repeated pin never
	// undoes an Unpin of the same or a higher Seq; it is a Conflict. An owner that never pins a
	// root again leaves it 0.
	Seq uint64
	// For ends the pin by itself after at least that long, unless the owner pins with a higher Seq
	// meanwhile: for owners that may crash before they can withdraw. 0: until it is withdrawn. Each
	// hoarder measures it, from the beginning again after a restart.
	For time.Duration
	// Version orders a database's snapshots: when a newer one has its copies, the older ones are
	// dropped. 0 for an asset.
	Version uint64
	// Nonce is for a second copy, which one hoarder asks another for: see HaveRequest.Nonce.
	Nonce []byte
}

// PinResponse says what is durable.
type PinResponse struct {
	// Holder has fetched, verified and synced the content.
	Holder transport.Peer
	// Bytes is the content's stored size.
	Bytes int64
	// Copies is on how many hoarders the content is durable: 1 only if one is
	// wanted, or no other that has room answered.
	Copies int
	// Records is the same for the pin itself.
	Records int
	// Proof is that of the second copy, if there was a nonce.
	Proof []byte
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

// UnpinRequest withdraws the owner's pins with Seq or less, including those that arrive later.
// Other owners' pins stand.
type UnpinRequest struct {
	Root, Owner, Name string
	Seq               uint64
}

// OwnersRequest asks for the owners of an item, after an owner and name in the order of the answer;
// both empty: from the beginning.
type OwnersRequest struct{ Root, AfterOwner, AfterName string }

// OwnersResponse lists owners by (Owner, Name), at most OwnedPage.
type OwnersResponse struct {
	Owners []Owned
	// More: the list goes on after the last.
	More bool
}

// OwnedRequest asks for the pins of owners whose text begins with Prefix, in the order of roots,
// after a root.
type OwnedRequest struct{ Prefix, After string }

// OwnedResponse is one page. Next is the After of the next one, empty at the end;
// a page may be empty and not the last.
type OwnedResponse struct {
	Pins []Owned
	Next string
}

// Owned is one owner's pin that stands.
type Owned struct {
	Root, Owner, Name string
	Kind              Kind
	Seq, Version      uint64
	Target            int
	For               time.Duration
}

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

// HaveRequest asks a hoarder whether it holds an item, and for a promise not to release it, see
// HaveResponse.Promise.
type HaveRequest struct {
	Root    string
	Promise bool
	// Nonce is NonceLen random bytes, never used before: who answers proves its copy with them. Empty:
	// no proof is asked for.
	Nonce []byte
}

// HaveResponse is given after every block was read and verified.
type HaveResponse struct {
	Has bool
	// Promise runs from when the request was received. Zero: none was given.
	Promise time.Duration
	// Proof is made of the nonce, the content and the answering hoarder's own name.
	Proof []byte
}

// StatusResponse is a hoarder's status.
type StatusResponse struct {
	Items      int // known
	Held       int
	BytesUsed  int64
	BytesMax   int64
	Acquiring  int
	Corrupted  int // found and not repaired yet
	LiveOthers int
}
