package libp2p

import (
	"container/list"
	"time"
)

// visits bound how often others connect: from one address, and all together. Three kinds of address do not
// share: those from which members have come, those at which members say that they are reached, and all others. So a flood
// from everywhere keeps no member from coming back, one from the address of a member no stranger from coming, and a member
// that announces addresses of others, by the thousand, displaces nobody who has come. Of the others, an address that has not
// been seen lately has something of its own: who comes often from many addresses keeps no newcomer out, unless with
// more new addresses than that. It is not safe for use by several goroutines.
type visits struct {
	members, announced, others crowd
	newcomers                  bucketSize
	firsts                     bucket
}

// rates are how often connections may come.
type rates struct{ perAddress, all bucketSize }

// bucketSize is how much a bucket gains in a second, and how much it holds.
type bucketSize struct{ rate, burst float64 }

func newVisits(members, announced, others rates, newcomers bucketSize) *visits {
	return &visits{newCrowd(members), newCrowd(announced), newCrowd(others), newcomers, bucket{left: newcomers.burst}}
}

// allow counts a connection that comes from an address, and reports whether it may.
func (v *visits) allow(address string, now time.Time) bool {
	for _, c := range []*crowd{&v.members, &v.announced} {
		if c.knows(address) {
			return c.allow(address, now)
		}
	}
	known := v.others.knows(address)
	return v.others.allow(address, now) || !known && v.firsts.take(v.newcomers, now)
}

// ofMember says that a member has come from an address.
func (v *visits) ofMember(address string, now time.Time) { v.members.bucket(address, now) }

// isAnnounced says that a member announces an address.
func (v *visits) isAnnounced(address string, now time.Time) { v.announced.bucket(address, now) }

// crowd is one kind of addresses. It remembers visitorsMax of them, those that came last: who has
// that many addresses is bounded by what all may together.
type crowd struct {
	rates     rates
	all       bucket
	addresses map[string]*list.Element
	recent    *list.List // of *visitor, the latest first
}

type visitor struct {
	address string
	bucket  bucket
}

func newCrowd(r rates) crowd {
	return crowd{rates: r, all: bucket{left: r.all.burst}, addresses: map[string]*list.Element{}, recent: list.New()}
}

func (c *crowd) knows(address string) bool { return c.addresses[address] != nil }

// allow takes nothing of what is for all from who is refused for its address.
func (c *crowd) allow(address string, now time.Time) bool {
	return c.bucket(address, now).take(c.rates.perAddress, now) && c.all.take(c.rates.all, now)
}

// bucket is that of an address.
func (c *crowd) bucket(address string, now time.Time) *bucket {
	if e := c.addresses[address]; e != nil {
		c.recent.MoveToFront(e)
		return &e.Value.(*visitor).bucket
	}
	if c.recent.Len() >= visitorsMax {
		oldest := c.recent.Remove(c.recent.Back()).(*visitor)
		delete(c.addresses, oldest.address)
	}
	v := &visitor{address, bucket{c.rates.perAddress.burst, now}}
	c.addresses[address] = c.recent.PushFront(v)
	return &v.bucket
}

// bucket is a token bucket.
type bucket struct {
	left float64
	at   time.Time // when it had that much
}

func (b *bucket) take(size bucketSize, now time.Time) bool {
	gained := max(0, now.Sub(b.at).Seconds()) * size.rate
	b.left, b.at = min(size.burst, b.left+gained), now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
