package seer

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
	asking "github.com/taucloud/tau/transport/ask"
)

// DiscoveryName is the discovery agent's name among the services of a node.
const DiscoveryName = "discovery"

// discoveryRetry is the pause between two rounds while something is not known.
const discoveryRetry = 250 * time.Millisecond

// DiscoverySpec is the agent that finds the other members: it announces this node to seers and keeps the
// node's directory. It starts before all other services, because these ask the directory.
func DiscoverySpec() node.Spec {
	return node.Spec{
		Name: DiscoveryName, Everywhere: true, Early: true,
		Doc:      "finds the other members of the cloud, and announces this node to them",
		Settings: func() any { return DefaultDiscoverySettings() },
		New: func(env node.Env, settings any) (node.Service, error) {
			return &discovery{env: env, settings: *settings.(*DiscoverySettings), members: env.Members(), announced: map[transport.Peer]bool{}, wake: func() {},
				tellers: newInquiries(env.Loop, "announce"), introducing: newInquiries(env.Loop, "introduce")}, nil
		},
	}
}

// discovery is the agent of one node.
type discovery struct {
	env      node.Env
	settings DiscoverySettings
	members  *node.Members // nil: the directory is not learned
	asker    *asking.Asker
	cursor   seerapi.Cursor
	asked    []string // services at cursor
	// says is what this node says of itself now, announced the seers that have heard it, heard the newest
	// that anybody on another node has heard.
	says, heard addressbook.Stamp
	announced   map[transport.Peer]bool
	// tellers tell seers what this node says, introducing asks members who the seers are.
	tellers, introducing *inquiries
	unanswered           bool // no seer was reached in the last round
	turn                 int  // of the members to ask who the seers are
	alone                int  // rounds since another seer, of some that are known, has heard what this node says
	// again: there is reason for another round at once; wake ends the pause before it.
	again bool
	wake  func()
}

// Start implements node.Service.
func (d *discovery) Start(ctx context.Context) error {
	introduce.Serve(d.env.Wire, d.introduce)
	if d.members == nil {
		return nil
	}
	saved, err := d.env.Local.List("")
	if err != nil {
		return err
	}
	d.members.Load(saved)
	d.members.Lookup(seerapi.Service) // seers are always wanted
	if err := d.save(ctx); err != nil {
		return err
	}
	d.asker = asking.New(d.env.Wire, asking.Policy{Service: seerapi.Service, StayWithLast: true, AvoidFor: 10 * time.Second, PeersMax: 4})
	d.env.Loop.Go("discovery", d.run)
	return nil
}

// Stop implements node.Service.
func (d *discovery) Stop(ctx context.Context) error {
	if d.members == nil {
		return nil
	}
	return d.save(ctx)
}

// Leave implements node.Leaver: it tells a few seers, and each of them tells the others.
func (d *discovery) Leave(ctx context.Context) error {
	if d.members == nil {
		return nil
	}
	said := d.members.Leave()
	done := 0
	var err error
	for few := range slices.Chunk(d.others(), toldMin) {
		err = clock.First(ctx, d.env.Loop, len(few), 1, func(ctx context.Context, i int) error {
			_, err := announceAt.Call(ctx, d.env.Wire, few[i], announceRequest{Said: said})
			if err == nil {
				done++
			}
			return err
		})
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	d.env.Observe("left", node.F("told", done))
	return err
}

// Book is what this node knows of whom it uses, nil if it is told of all. For checks.
func (d *discovery) Book() []addressbook.Announcement {
	if d.members == nil {
		return nil
	}
	return d.members.List()
}

// Wanted are the services that are looked for. For checks.
func (d *discovery) Wanted() []string { return d.members.Wanted() }

// Lookup is the node's directory. For checks.
func (d *discovery) Lookup(service string) ([]transport.Peer, bool) { return d.members.Lookup(service) }

// run asks again and again, soon while something is not known.
func (d *discovery) run(ctx context.Context) {
	for {
		known := d.round(ctx)
		if err := d.save(ctx); err != nil && ctx.Err() == nil {
			d.env.Log.Warn("the address book was not saved", "err", err)
		}
		if d.pause(ctx, clock.Jittered(d.env.Rand, d.wait(known))) != nil {
			return
		}
	}
}

// wait is the pause after a round. A seer that no other seer has heard asks soon, and then less and less
// often: the others may be down for long.
func (d *discovery) wait(known bool) time.Duration {
	switch {
	case !known && d.members != nil && d.members.AllContacts():
		return discoveryRetry / 10 // they start together
	case !known:
		return discoveryRetry
	case d.alone > 0:
		return min(d.settings.Interval, discoveryRetry<<min(d.alone, 16))
	}
	return d.settings.Interval
}

// pause waits, but no longer than until something else is wanted, this node says something else of itself, or
// a member has told of seers.
func (d *discovery) pause(ctx context.Context, wait time.Duration) error {
	var timer clock.Timer
	var stop func()
	err := d.env.Loop.Park(ctx, func(wake func()) {
		d.wake = wake
		timer, stop = d.env.Loop.AfterFunc(wait, wake), d.members.OnWant(wake)
		if _, says := d.members.Own(); d.again || says != d.says || !slices.Equal(d.members.Wanted(), d.asked) {
			wake()
		}
	})
	if timer != nil {
		timer.Stop()
		stop()
	}
	d.again = false
	return err
}

// goOn makes the next round begin at once.
func (d *discovery) goOn() {
	d.again = true
	d.wake()
}

// round asks who the seers are where that is in doubt, announces this node where that is due, and asks for what
// has changed.
func (d *discovery) round(ctx context.Context) (known bool) {
	d.beIntroduced(ctx)
	d.announce(ctx)
	wanted := d.members.Wanted()
	if !slices.Equal(wanted, d.asked) {
		d.asked, d.cursor = wanted, seerapi.Cursor{}
	}
	err := d.asker.Put(ctx, follow.Name, "", seerapi.TryTimeout, func(ctx context.Context, seer transport.Peer) error {
		return d.followAt(ctx, seer)
	})
	kind := transport.KindOf(err)
	d.unanswered = kind == transport.Unreachable || kind == transport.Timeout
	return err == nil && len(d.announced) > 0
}

// seers are all that are known, in the order in which this node tells them: its own first.
func (d *discovery) seers() []transport.Peer {
	all, _ := d.env.Wire.Directory().Lookup(seerapi.Service)
	return ranked(d.env.Self, all)
}

// others are all of them but this node's own, which goes with it.
func (d *discovery) others() []transport.Peer {
	return slices.DeleteFunc(d.seers(), func(p transport.Peer) bool { return p == d.env.Self })
}

// save writes what has changed in the address book.
func (d *discovery) save(ctx context.Context) error {
	return saveAll(ctx, d.env.Local, d.members.Unsaved())
}

// saveAll writes entries, those without a value as deletions, and waits until they are durable.
func saveAll(ctx context.Context, local storage.Local, writes []storage.Entry) error {
	if len(writes) == 0 {
		return nil
	}
	var b storage.Batch
	for _, w := range writes {
		if w.Value == nil {
			b.Delete(w.Key)
		} else {
			b.Put(w.Key, w.Value)
		}
	}
	if err := local.Apply(&b); err != nil {
		return err
	}
	return local.Sync(ctx)
}
