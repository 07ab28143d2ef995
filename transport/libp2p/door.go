package libp2p

import "slices"

// door bounds the connections in one state, in all and from one address. For one more than it has room
// for, one gives way: the oldest of its own address if that has too many, otherwise the oldest of the
// address that has the most. So a few addresses do not push out all others.
type door struct {
	max, perAddressMax int
	inside             []*inboundScope // the oldest first
	perAddress         map[string]int
}

func newDoor(max, perAddressMax int) door {
	return door{max: max, perAddressMax: perAddressMax, perAddress: map[string]int{}}
}

// full reports whether somebody would have to give way for a connection from an address.
func (d *door) full(address string) bool {
	return len(d.inside) >= d.max || d.perAddress[address] >= d.perAddressMax
}

// enter lets a connection in, and returns the one that gives way; nil if none has to.
func (d *door) enter(s *inboundScope) (out *inboundScope) {
	switch {
	case d.perAddress[s.address] >= d.perAddressMax:
		out = d.oldest(s.address)
	case len(d.inside) >= d.max:
		out = d.oldest(d.most())
	}
	if out != nil {
		d.leave(out)
	}
	d.inside = append(d.inside, s)
	d.perAddress[s.address]++
	s.at = d
	return out
}

// leave takes out a connection that is inside.
func (d *door) leave(s *inboundScope) {
	i := slices.Index(d.inside, s)
	d.inside = slices.Delete(d.inside, i, i+1)
	if d.perAddress[s.address]--; d.perAddress[s.address] == 0 {
		delete(d.perAddress, s.address)
	}
	s.at = nil
}

// oldest is the connection of an address that is inside for the longest time.
func (d *door) oldest(address string) *inboundScope {
	i := slices.IndexFunc(d.inside, func(s *inboundScope) bool { return s.address == address })
	return d.inside[i]
}

// most is the address with the most connections; of several, that of the oldest one.
func (d *door) most() (address string) {
	for _, s := range d.inside {
		if d.perAddress[s.address] > d.perAddress[address] {
			address = s.address
		}
	}
	return address
}
