package seer

import (
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

// The messages by which nodes find each other.

type introduceRequest struct {
	Said addressbook.Signed `cbor:"1,keyasint"` // what the asker says of itself
}

// introduceResponse has at most introducedMax seers, the member itself first if it is one.
type introduceResponse struct {
	Seers []addressbook.Signed `cbor:"1,keyasint"`
}

type announceRequest struct {
	Said addressbook.Signed `cbor:"1,keyasint"`
}

// announceResponse is empty if what was said counts now.
type announceResponse struct {
	// Newer is what the cloud remembers of the member instead, of a life that its disk has forgotten, or
	// from before it was taken for one that has left.
	Newer *addressbook.Signed `cbor:"1,keyasint,omitempty"`
}

// followRequest asks which members that offer one of Services, or "" alone for all, have changed since Cursor.
type followRequest struct {
	Cursor   seerapi.Cursor    `cbor:"1,keyasint"`
	Services []string          `cbor:"2,keyasint"`
	Says     addressbook.Stamp `cbor:"3,keyasint"` // of the asker's own announcement
	// Some: also of acquaintances, see acquainted.
	Some bool `cbor:"4,keyasint,omitempty"`
}

// followResponse has at most seerapi.PageLenMax members, each once, in the order in which they last changed;
// departures are among Members.
type followResponse struct {
	Cursor seerapi.Cursor `cbor:"1,keyasint"` // from which to go on
	// Full: all members follow, and what was known before is void, once Known.
	Full    bool                 `cbor:"2,keyasint,omitempty"`
	Members []addressbook.Signed `cbor:"3,keyasint,omitempty"`
	Gone    []transport.Peer     `cbor:"4,keyasint,omitempty"` // that offer none of Services any more
	More    bool                 `cbor:"5,keyasint,omitempty"`
	// Known: the seer stands for there being no further members.
	Known bool `cbor:"6,keyasint,omitempty"`
	// Announce: the asker is not known as it says; Newer is what it must supersede.
	Announce bool                `cbor:"7,keyasint,omitempty"`
	Newer    *addressbook.Signed `cbor:"8,keyasint,omitempty"`
	// Histories are those of Members, for whoever asks for all.
	Histories []seerapi.History `cbor:"9,keyasint,omitempty"`
}
