package audit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

// toldMax bounds the members of one answer that become a fact, the first ones in
// their order.
const toldMax = 100

// membersTold makes a text of an answer: a word for each member.
func membersTold(list []seerapi.Member) (text string, partial bool) {
	words := make([]string, 0, min(len(list), toldMax))
	for _, m := range list {
		if len(words) == toldMax {
			return strings.Join(words, " "), true
		}
		capacity, said := m.Capacity["hoarder.bytes-max"]
		if !said {
			capacity = -1
		}
		words = append(words, fmt.Sprintf("%s|%s|%d|%s|%d|%d|%d", m.Peer, m.Name, m.Incarnation, strings.Join(m.Services, ","), m.Age, capacity, m.Usage["hoarder.bytes-used"]))
	}
	return strings.Join(words, " "), false
}

// lookAtMembers asks one seer who lives, in all pages.
func (a *auditor) lookAtMembers(ctx context.Context, env node.Env) {
	services := []string{"", seerapi.Service, "hoarder", "patrick", "monkey", "tns"}
	a.askMembers(ctx, env, a.someone(env, seerapi.Service), services[a.IntN(len(services))])
}

func (a *auditor) askMembers(ctx context.Context, env node.Env, by transport.Peer, service string) {
	began := env.Loop.Elapsed()
	var list []seerapi.Member
	var after transport.Peer
	for {
		page, err := seerapi.Lookup.Call(ctx, env.Wire, by, seerapi.LookupRequest{Service: service, After: after})
		if err != nil {
			itemAnswered(env, "members-told", by, "", began, err)
			return
		}
		list = append(list, page.Members...)
		if !page.More || len(page.Members) == 0 {
			break
		}
		after = page.Members[len(page.Members)-1].Peer
	}
	observeMembers(env, by, "lookup", service, began, list)
}

func observeMembers(env node.Env, by transport.Peer, how, service string, began time.Duration, list []seerapi.Member) {
	text, partial := membersTold(list)
	itemAnswered(env, "members-told", by, "", began, nil, node.F("how", how), node.F("service", service), node.F("members", text),
		node.F("partial", partial), node.F("count", len(list)))
}

// lookWhoLives asks whichever seer answers.
func (a *auditor) lookWhoLives(ctx context.Context, env node.Env) {
	began := env.Loop.Elapsed()
	list, err := seerapi.NewClient(env.Wire).Lookup(ctx, "")
	if err != nil {
		itemAnswered(env, "members-told", transport.Peer{}, "", began, err)
		return
	}
	observeMembers(env, transport.Peer{}, "client", "", began, list)
}

// lookAtFollower asks the auditor's follower, which asks only for what changed.
func (a *auditor) lookAtFollower(ctx context.Context, env node.Env) {
	if a.following {
		return // it is for one task
	}
	a.following = true
	defer func() { a.following = false }()
	if a.follower == nil || a.follows != env.Incarnation {
		a.follows = env.Incarnation
		a.follower = seerapi.Follow(seerapi.NewClient(env.Wire), "", func(m seerapi.Member) seerapi.Member { return m })
	}
	began := env.Loop.Elapsed()
	if _, err := a.follower.Refresh(ctx); err != nil {
		itemAnswered(env, "members-told", transport.Peer{}, "", began, err)
		return
	}
	var list []seerapi.Member
	for _, p := range a.follower.Peers() {
		m, _ := a.follower.Get(p)
		m.Age = 0 // as of an answer that may be old
		list = append(list, m)
	}
	observeMembers(env, transport.Peer{}, "follower", "", began, list)
}

// sweepMembers asks one seer, and the follower.
func (a *auditor) sweepMembers(ctx context.Context, env node.Env, n int) {
	if !a.serves(env, seerapi.Service) {
		return
	}
	peers, _ := env.Wire.Directory().Lookup(seerapi.Service)
	for _, look := range []lookFunc{
		func(ctx context.Context, env node.Env) { a.askMembers(ctx, env, peers[n%len(peers)], "") },
		a.lookWhoLives, a.lookAtFollower,
	} {
		_ = bounded(ctx, env, func(ctx context.Context) error { look(ctx, env); return nil })
	}
}
