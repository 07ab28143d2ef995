package seerapi

import (
	"context"
	"maps"
	"slices"

	"github.com/taucloud/tau/transport"
)

// followedMax bounds the members that a Follower keeps; the answer of a seer that names more is
// rejected.
const followedMax = 1 << 16

// changesPagesMax bounds the pages of one Refresh. That is enough for the maximal number of
// members, each named twice.
const changesPagesMax = 2 * followedMax / PageLenMax

// Follower knows which members offer a service, and keeps a T of each. It asks one seer for the
// changes since its last request, so that N members that all follow each other transfer their
// changes and not N lists of N. It must be used by one task only.
//
// After a Refresh it knows what Lookup would have returned then, except for members that have
// fallen silent: those it may keep until the seer's next look, at most a fifth of gone-after (1 s)
// later.
type Follower[T any] struct {
	client  *Client
	service string
	keep    func(Member) T
	cursor  Cursor // the position in the seer's history up to which members are known
	members map[transport.Peer]T
}

// Follow returns a Follower of the members that offer service and may ("" for all), which knows of none
// before its first Refresh. keep picks what to keep of a member; Age is as of the answer. The
// client should have no other user: a change of seer makes the follower begin anew.
func Follow[T any](c *Client, service string, keep func(Member) T) *Follower[T] {
	return &Follower[T]{client: c, service: service, keep: keep, members: map[transport.Peer]T{}}
}

// Get returns what is kept of a live member, and false for all others.
func (f *Follower[T]) Get(p transport.Peer) (kept T, live bool) {
	kept, live = f.members[p]
	return kept, live
}

// Peers lists the live members in canonical order.
func (f *Follower[T]) Peers() []transport.Peer { return sorted(f.members) }

// Refresh asks what changed, and returns the peers of which there may be news,
// in canonical order: new members, those that said something new, those that
// are gone. A seer other than the last one, or one that was restarted, tells
// everything anew. The errors are those of Lookup; after one all that was known
// is kept as it was.
func (f *Follower[T]) Refresh(ctx context.Context) (news []transport.Peer, err error) {
	var told update[T]
	err = f.client.asker.Put(ctx, Changes.Name, "", TryTimeout, func(ctx context.Context, seer transport.Peer) (err error) {
		told, err = f.askAt(ctx, seer)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f.take(told), nil
}

// update is what the pages of one Refresh tell, to be taken whole or not at all.
type update[T any] struct {
	full    bool
	cursor  Cursor
	members map[transport.Peer]*T // nil: gone
}

// askAt asks one seer, page by page.
func (f *Follower[T]) askAt(ctx context.Context, seer transport.Peer) (update[T], error) {
	told := update[T]{cursor: f.cursor, members: map[transport.Peer]*T{}}
	for range changesPagesMax {
		page, err := Changes.Call(ctx, f.client.asker.Endpoint(), seer, ChangesRequest{Service: f.service, Cursor: told.cursor})
		if err != nil {
			return told, err
		}
		told.cursor = page.Cursor
		if page.Full {
			told.full, told.members = true, map[transport.Peer]*T{}
		}
		for _, m := range page.Changed {
			told.members[m.Peer] = nil
			if f.client.mayOffer(m.Peer, f.service) {
				kept := f.keep(m)
				told.members[m.Peer] = &kept
			}
		}
		for _, p := range page.Gone {
			told.members[p] = nil
		}
		if !page.More {
			return told, f.bound(told)
		}
	}
	return told, transport.New(transport.Invalid, Changes.Name, "too many pages")
}

// bound refuses to keep more than followedMax.
func (f *Follower[T]) bound(told update[T]) error {
	n := 0
	if !told.full {
		n = len(f.members)
	}
	for p, kept := range told.members {
		_, known := f.members[p]
		switch known = known && !told.full; {
		case kept != nil && !known:
			n++
		case kept == nil && known:
			n--
		}
	}
	if n > followedMax {
		return transport.New(transport.Invalid, Changes.Name, "too many members")
	}
	return nil
}

// take replaces what is known.
func (f *Follower[T]) take(told update[T]) (news []transport.Peer) {
	if told.full {
		for p := range f.members {
			if _, listed := told.members[p]; !listed {
				told.members[p] = nil
			}
		}
	}
	f.cursor = told.cursor
	news = sorted(told.members)
	for _, p := range news {
		if kept := told.members[p]; kept != nil {
			f.members[p] = *kept
		} else {
			delete(f.members, p)
		}
	}
	return news
}

func sorted[V any](members map[transport.Peer]V) []transport.Peer {
	return slices.SortedFunc(maps.Keys(members), transport.Peer.Compare)
}
