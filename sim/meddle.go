package sim

import (
	"math"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/storage/blocks"
	"github.com/taucloud/tau/transport"
)

var _ transport.Meddler = (*host)(nil)

// liedBits is how many bits of an answer a lie flips at most.
const liedBits = 3

// Again implements transport.Meddler.
func (h *host) Again(from transport.Peer) (later time.Duration, again bool) {
	sender := h.net.w.byPeer[from]
	if sender == nil || sender == h.node {
		return 0, false
	}
	l := h.net.link(sender, h.node)
	if l.again.Chance == 0 {
		return 0, false
	}
	l.messages++
	d := h.net.w.draw(drawAgain, linkKey(l.from, l.to), l.messages)
	if !chance(d, l.again.Chance) {
		return 0, false
	}
	h.net.hit(l, fault.PartAgain)
	return time.Duration(within(mix(d), int64(l.again.Min), int64(l.again.Max))), true
}

// laterField is a field of a later release, unknown to this one.
const laterField = "OfALaterRelease"

// Written implements transport.Meddler: a later release has one more field in
// each of its types.
func (h *host) Written(data []byte) []byte {
	if !h.node.later {
		return data
	}
	var v any
	if len(data) == 0 || data[0]>>5 != cborMap || cbor.Unmarshal(data, &v) != nil {
		return data
	}
	raw, err := laterEncoding.Marshal(withLaterField(v))
	if err != nil {
		return data
	}
	return raw
}

// laterEncoding has one result for equal values.
var laterEncoding, _ = cbor.CoreDetEncOptions().EncMode()

// cborMap is the major type of CBOR maps.
const cborMap = 5

// withLaterField adds the field to all maps that encode structs: their keys are numbers, or names
// with a capital.
func withLaterField(v any) any {
	switch v := v.(type) {
	case map[any]any:
		named, numbered := false, false
		for k, value := range v {
			v[k] = withLaterField(value)
			text, _ := k.(string)
			name := text != "" && text[0] >= 'A' && text[0] <= 'Z'
			_, number := k.(uint64)
			named, numbered = named || name, numbered || number
		}
		if named {
			v[laterField] = true
		} else if numbered {
			v[uint64(math.MaxUint16)] = true
		}
	case []any:
		for i := range v {
			v[i] = withLaterField(v[i])
		}
	}
	return v
}

// Answer implements transport.Meddler.
func (h *host) Answer(to transport.Peer, method string, response []byte) []byte {
	asker := h.net.w.byPeer[to]
	if asker == nil || asker == h.node || len(response) == 0 {
		return response
	}
	n := h.node
	if n.lies.Chance == 0 || !n.lies.All && method != blocks.Method {
		return response
	}
	n.answers++
	d := h.net.w.draw(drawLie, uint64(n.index), n.answers)
	if !chance(d, n.lies.Chance) {
		return response
	}
	n.effects.Lies++
	lie := slices.Clone(response) // the response may be shared with the service
	for range 1 + d%liedBits {
		d = mix(d)
		bit := d % uint64(8*len(lie))
		lie[bit/8] ^= 1 << (bit % 8)
	}
	return lie
}
