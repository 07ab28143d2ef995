package seer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// BeaconName is the beacon agent's name among the services of a node.
const BeaconName = "beacon"

// beaconSeersMax is how many seers hear a beacon: all if there are no more,
// else all but one of them are always the same.
const beaconSeersMax = 3

// BeaconSpec is the agent that runs on every node and announces it to seers.
func BeaconSpec() node.Spec {
	return node.Spec{
		Name: BeaconName, Everywhere: true,
		Doc:      "announces this node to the seers",
		Settings: func() any { return DefaultBeaconSettings() },
		New: func(env node.Env, settings any) (node.Service, error) {
			return &agent{env: env, settings: *settings.(*BeaconSettings)}, nil
		},
	}
}

// agent sends the beacons of one node.
type agent struct {
	env      node.Env
	settings BeaconSettings

	life      uint64
	began     time.Duration
	revision  uint64
	gauges    map[string]int64 // at revision
	told      announcement     // what revision says
	sent      int              // beacons since the last full announcement
	directory []transport.Peer // the directory that ranked was computed from
	ranked    []transport.Peer
	turn      int // counts the turns of the seers that are not chosen
}

// Start implements node.Service.
func (a *agent) Start(context.Context) error {
	a.began = a.env.Loop.Elapsed()
	a.life = newLife(a.env)
	ask.Serve(a.env.Wire, a.answer)
	a.env.Loop.Go("beacon", a.run)
	return nil
}

// newLife draws the name of this run of a service. The clock is included because after the loss of
// a disk only it differs from the last run.
func newLife(env node.Env) uint64 {
	raw := binary.BigEndian.AppendUint64(nil, env.Rand.Uint64())
	raw = binary.BigEndian.AppendUint64(raw, uint64(env.Loop.Now().UnixNano()))
	sum := sha256.Sum256(raw)
	return binary.BigEndian.Uint64(sum[:]) | 1 // 0 means that there is no life
}

// Stop implements node.Service: an orderly end is announced, so that seers need not wait for
// gone-after.
func (a *agent) Stop(context.Context) error {
	regular, _ := a.chosen() // they tell the others
	for _, seer := range regular {
		_ = leave.Tell(a.env.Wire, seer, leaveMessage{Life: a.life})
	}
	return nil
}

// run sends beacons, the first at once and the second after a random part of the
// interval, so that nodes that start together do not stay in step.
func (a *agent) run(ctx context.Context) {
	wait := time.Duration(a.env.Rand.Int64N(int64(a.settings.Interval)))
	for {
		a.beat(ctx)
		if a.pause(ctx, wait) != nil {
			return
		}
		wait = a.settings.Interval
	}
}

// pause waits; in a cloud of which all members are known, and start together, it waits for the first seer no longer than until it is
// known.
func (a *agent) pause(ctx context.Context, wait time.Duration) error {
	if m := a.env.Members(); len(a.ranked) > 0 || m == nil || !m.AllContacts() {
		return clock.Sleep(ctx, a.env.Loop, wait)
	}
	var timer clock.Timer
	var stop func()
	err := a.env.Loop.Park(ctx, func(wake func()) {
		timer, stop = a.env.Loop.AfterFunc(wait, wake), a.env.Wire.Directory().Watch(wake)
		if regular, _ := a.chosen(); len(regular) > 0 {
			wake()
		}
	})
	if timer != nil {
		timer.Stop()
		stop()
	}
	return err
}

// beat sends one beacon.
func (a *agent) beat(ctx context.Context) {
	if beforeBeacon.Hit(ctx, a.env) != nil {
		return
	}
	if members := a.env.Members(); members != nil {
		members.Moved()
	}
	m := a.message()
	a.sent++
	if a.sent > a.settings.AnnounceEvery || a.changed() {
		m = a.announcement()
	}
	raw := m.encode()
	regular, others := a.chosen()
	if len(others) > 0 {
		a.turn++
		regular = append(slices.Clip(regular), others[a.turn%len(others)])
	}
	for _, seer := range regular {
		_ = beaconNote.Tell(a.env.Wire, seer, raw) // lost beacons are not repeated: the next one follows
	}
}

// answer sends the whole announcement to a seer that asks for it.
func (a *agent) answer(_ context.Context, from transport.Peer, ask askMessage) {
	m := a.message()
	_ = answer.Tell(a.env.Wire, from, answerMessage{
		Ask: ask, Life: m.Life, At: m.At, Revision: m.Revision, Announcement: &a.told})
}

func (a *agent) message() beaconMessage {
	return beaconMessage{Life: a.life, At: a.env.Loop.Elapsed() - a.began, Revision: a.revision}
}

// announcement is a beacon with the whole announcement.
func (a *agent) announcement() beaconMessage {
	a.sent = 0
	m := a.message()
	m.Announcement = &a.told
	return m
}

// changed updates the announcement from the node's gauges and reports whether it has changed.
func (a *agent) changed() bool {
	gauges := a.env.Gauges() // everything else is constant within a life
	if a.revision > 0 && maps.Equal(gauges, a.gauges) {
		return false
	}
	a.gauges = gauges
	a.told = announce(a.env.Node, a.env.Incarnation, a.env.ServiceNames(), a.settings.Addresses, gauges)
	a.revision++
	return true
}

// chosen are the seers that hear every beacon: all, or the highest by rendezvous hash, so that the
// load is even and one more seer moves few nodes. The others receive one in turn, in case this node
// reaches none of the chosen.
func (a *agent) chosen() (regular, others []transport.Peer) {
	all, _ := a.env.Wire.Directory().Lookup(seerapi.Service) // who is known hears it
	if !slices.Equal(all, a.directory) {
		a.directory = slices.Clone(all)
		a.ranked = ranked(a.env.Self, all)
	}
	regularMax := beaconSeersMax - 1
	if len(a.ranked) > 0 && a.ranked[0] == a.env.Self {
		regularMax++ // a seer on this node costs no message
	}
	if len(a.ranked) <= regularMax+1 {
		return a.ranked, nil
	}
	return a.ranked[:regularMax], a.ranked[regularMax:]
}

// ranked is the rendezvous order of seers for a node. One that is the node's own
// comes before all others: a seer believes nobody else about its own node.
func ranked(self transport.Peer, seers []transport.Peer) []transport.Peer {
	return rendezvous.Before(self, rendezvous.Rank(string(self[:]), seers))
}
