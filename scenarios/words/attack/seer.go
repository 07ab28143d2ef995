package attack

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/taucloud/tau/transport"
)

// lie is what a beacon announces, as seer's own type has it.
type lie struct {
	Name        string
	Incarnation uint64
	Services    []string
	Addresses   []string
	Capacity    map[string]int64
}

// beacons tells each seer of each target: that it is the attacker, of all services and with much
// room; that it has left; and the first once more, of the past and of the far future.
func beacons(_ context.Context, a *one) error {
	wire := a.env().Wire
	for _, s := range a.on("seer") {
		for i, t := range a.Targets {
			if i == a.Count {
				break
			}
			announced := transport.Encode(lie{
				Name: t.Name, Incarnation: math.MaxUint64, Services: []string{"hoarder", "monkey", "patrick", "seer", "tns"},
				Addresses: []string{"/ip4/203.0.113.1/tcp/1"}, Capacity: map[string]int64{"hoarder.bytes-max": math.MaxInt64},
			})
			for _, at := range []uint64{0, 1 << 40, math.MaxInt64} {
				_ = wire.Tell(s.Peer, "seer/beacon", append(head(uint64(i)+1, at, math.MaxUint64), announced...))
			}
			_ = wire.Tell(s.Peer, "seer/beacon", head(a.env().Rand.Uint64(), 0, 0))
			_ = wire.Tell(s.Peer, "seer/leave", transport.Encode(struct{ Life uint64 }{uint64(i) + 1}))
		}
	}
	return nil
}

// head is the fixed part of a beacon.
func head(life, at, revision uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, life)
	b = binary.BigEndian.AppendUint64(b, at)
	return binary.BigEndian.AppendUint64(b, revision)
}
