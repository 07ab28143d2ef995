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
	"github.com/taucloud/tau/transport/rendezvous"
)

// DiscoveryName is the discovery agent's name among the services of a node.
const DiscoveryName = "discovery"

const (
	// discoveryRetry is the pause between two rounds while something is not known.
	discoveryRetry = 250 * time.Millisecond
	// introducersMax is how many members are asked in one round who the seers are.
	introducersMax = 4
	// announcedMax is how many seers are told what this node says of itself; they tell the others.
	announcedMax = 3
	// introducedMax bounds the seers that one member names.
	introducedMax = 16
)

// DiscoverySpec is the agent that finds the other members: it announces this node to seers and keeps the
// node's directory. It starts before all other services, because these ask the directory.
func DiscoverySpec() node.Spec {
	return node.Spec{
		Name: DiscoveryName, Everywhere: true, Early: true,
		Doc:      "finds the other members of the cloud, and announces this node to them",
		Settings: func() any { return DefaultDiscoverySettings() },
		New: func(env node.Env, settings any) (node.Service, error) {
			return &discovery{env: env, settings: *settings.(*DiscoverySettings), members: env.Members(), announced: map[transport.Peer]addressbook.Stamp{}}, nil
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
	// announced is what the seers that were told last know of this node, at most announcedMax of them.
	announced map[transport.Peer]addressbook.Stamp
	says      addressbook.Stamp // when it was told last
	turn      int               // of the members to ask who the seers are
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
	for few := range slices.Chunk(d.others(), announcedMax) {
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
		wait := d.settings.Interval
		if !known {
			wait = discoveryRetry
		}
		if d.pause(ctx, clock.Jittered(d.env.Rand, wait)) != nil {
			return
		}
	}
}

// pause waits, but no longer than until something else is wanted, or this node says something else of itself.
func (d *discovery) pause(ctx context.Context, wait time.Duration) error {
	var timer clock.Timer
	var stop func()
	err := d.env.Loop.Park(ctx, func(wake func()) {
		timer, stop = d.env.Loop.AfterFunc(wait, wake), d.members.OnWant(wake)
		if _, says := d.members.Own(); says != d.says || !slices.Equal(d.members.Wanted(), d.asked) {
			wake()
		}
	})
	if timer != nil {
		timer.Stop()
		stop()
	}
	return err
}

// round announces this node where that is due, and asks for what has changed.
func (d *discovery) round(ctx context.Context) (known bool) {
	if len(d.seers()) == 0 {
		d.beIntroduced(ctx)
	}
	d.announce(ctx)
	wanted := d.members.Wanted()
	if !slices.Equal(wanted, d.asked) {
		d.asked, d.cursor = wanted, seerapi.Cursor{}
	}
	err := d.asker.Put(ctx, follow.Name, "", seerapi.TryTimeout, func(ctx context.Context, seer transport.Peer) error {
		return d.followAt(ctx, seer)
	})
	switch kind := transport.KindOf(err); {
	case kind == transport.Unreachable || kind == transport.Timeout:
		d.beIntroduced(ctx) // they may be elsewhere, and others seers now
		return false
	case err == nil && len(d.announced) > 0:
		return true
	}
	return false
}

// seers are those that are told what this node says of itself: one of its own node first.
func (d *discovery) seers() []transport.Peer {
	list := d.allSeers()
	return list[:min(len(list), announcedMax)]
}

// allSeers are all that are known, in the order in which this node tells them.
func (d *discovery) allSeers() []transport.Peer {
	all, _ := d.env.Wire.Directory().Lookup(seerapi.Service)
	return ranked(d.env.Self, all)
}

// others are all of them but this node's own, which goes with it.
func (d *discovery) others() []transport.Peer {
	return slices.DeleteFunc(d.allSeers(), func(p transport.Peer) bool { return p == d.env.Self })
}

// announce tells seers what they have not heard yet of this node.
func (d *discovery) announce(ctx context.Context) {
	said, stamp := d.members.Own()
	d.says = stamp
	var untold []transport.Peer
	known := map[transport.Peer]addressbook.Stamp{}
	for _, p := range d.seers() {
		if at, told := d.announced[p]; told && at == stamp {
			known[p] = at
		} else {
			untold = append(untold, p)
		}
	}
	d.announced = known
	if len(untold) == 0 {
		return
	}
	ctx, cancel := clock.WithTimeout(ctx, d.env.Loop, seerapi.TryTimeout)
	defer cancel()
	_ = clock.First(ctx, d.env.Loop, len(untold), len(untold), func(ctx context.Context, i int) error {
		resp, err := announceAt.Call(ctx, d.env.Wire, untold[i], announceRequest{Said: said})
		switch {
		case err != nil: // the next round tries again
		case resp.Newer != nil:
			d.members.Supersede(*resp.Newer)
		default:
			known[untold[i]] = stamp
		}
		return nil
	})
}

// followAt asks one seer what has changed, page by page. The error is that it did not answer, or does not
// know of all members yet; what it does know is taken all the same.
func (d *discovery) followAt(ctx context.Context, seer transport.Peer) error {
	told := node.Told{Services: d.asked}
	_, says := d.members.Own()
	req := followRequest{Cursor: d.cursor, Services: d.asked, Says: says}
	for range followPagesMax {
		page, err := follow.Call(ctx, d.env.Wire, seer, req)
		if err != nil {
			return err
		}
		if page.Full {
			told.Whole, told.Members, told.Gone = true, nil, nil
		}
		told.Members, told.Gone = append(told.Members, page.Members...), append(told.Gone, page.Gone...)
		req.Cursor = page.Cursor
		if page.More {
			continue
		}
		told.Known = page.Known
		d.members.Learn(told)
		if page.Newer != nil {
			d.members.Supersede(*page.Newer)
		}
		if page.Announce {
			delete(d.announced, seer)
		}
		if d.cursor = req.Cursor; !page.Known {
			d.cursor = seerapi.Cursor{}
			return transport.New(transport.Refused, follow.Name, "this seer does not know of all members yet")
		}
		return nil
	}
	return transport.New(transport.Invalid, follow.Name, "too many pages")
}

// followPagesMax bounds the pages of one answer.
const followPagesMax = 256

// beIntroduced asks some members who the seers are: those of the configuration, and those that were met.
func (d *discovery) beIntroduced(ctx context.Context) {
	all := d.acquaintances()
	asked := make([]transport.Peer, 0, introducersMax)
	for range min(len(all), introducersMax) {
		d.turn++
		asked = append(asked, all[d.turn%len(all)])
	}
	ctx, cancel := clock.WithTimeout(ctx, d.env.Loop, seerapi.TryTimeout)
	defer cancel()
	_ = clock.First(ctx, d.env.Loop, len(asked), 1, func(ctx context.Context, i int) error {
		resp, err := introduce.Call(ctx, d.env.Wire, asked[i], introduceRequest{})
		if err == nil && len(resp.Seers) > introducedMax {
			err = transport.New(transport.Invalid, introduce.Name, "too many")
		}
		if err == nil {
			d.members.Learn(node.Told{Members: resp.Seers})
			if len(d.seers()) == 0 {
				err = transport.New(transport.NotFound, introduce.Name, "it knows no seer either")
			}
		}
		return err
	})
}

// acquaintances are all whom this node knows, in an order of its own.
func (d *discovery) acquaintances() (list []transport.Peer) {
	for _, c := range d.members.Contacts() {
		list = append(list, c.Peer)
	}
	for _, m := range d.members.List() {
		if !m.Left && !slices.Contains(list, m.Peer) {
			list = append(list, m.Peer)
		}
	}
	list = slices.DeleteFunc(list, func(p transport.Peer) bool { return p == d.env.Self })
	return rendezvous.Rank(string(d.env.Self[:]), list)
}

// introduce names seers to whoever asks.
func (d *discovery) introduce(context.Context, transport.Peer, introduceRequest) (introduceResponse, error) {
	if d.members == nil {
		return introduceResponse{}, nil
	}
	return introduceResponse{Seers: d.members.Introduce(seerapi.Service, introducedMax)}, nil
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
