package live

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

type nothing struct{}

// status says how the node is, also while it starts.
func (r *running) status(ctx context.Context, _ nothing) (Status, error) {
	s := r.cfg.Shape
	st := Status{Node: s.Name, Peer: s.Identity().Peer().String(), Cloud: s.Network, CloudKey: s.CloudKey, Services: s.Services,
		NotReady: []string{}, Gauges: map[string]int64{}, Addresses: []string{}, Up: time.Since(r.began).Round(time.Second).String(), Warnings: r.cfg.Log.kept.all()}
	n := r.started()
	if n == nil {
		r.mu.Lock()
		st.NotReady = append(st.NotReady, r.doing)
		r.mu.Unlock()
	} else if err := clock.Do(ctx, r.main, func(ctx context.Context) { st.NotReady = append(st.NotReady, n.NotReady(ctx)...) }); err != nil {
		return st, err
	}
	st.NotReady, st.Stranger = append(st.NotReady, r.estranged()...), r.stranger()
	st.Ready = len(st.NotReady) == 0
	err := r.on(ctx, func(ctx context.Context, env node.Env) error {
		st.Incarnation, st.Until = env.Incarnation, time.Unix(env.Authority.OwnUntil(), 0).UTC()
		st.CloudKey = env.Authority.Key().String()
		st.Addresses, st.Issuer = contactsOf(env), env.Authority.Issuer() != nil
		st.Gauges = env.Gauges()
		list, err := r.listPeers(ctx, env)
		st.Known, st.Unsure = len(list), err != nil
		for _, p := range list {
			if p.Alive == nil || *p.Alive {
				st.Peers++
			}
		}
		ctx, cancel := clock.WithTimeout(ctx, env.Loop, 2*time.Second)
		defer cancel()
		if list, err := patrickapi.NewClient(env.Wire).List(ctx, patrickapi.ListRequest{}); err == nil {
			st.Jobs = map[string]int{}
			for _, j := range list.Jobs {
				st.Jobs[j.Status.String()]++
			}
		}
		return nil
	})
	if errors.Is(err, errStarting) {
		err = nil
	}
	return st, err
}

// contactsOf are the node's own addresses, as others are told of them.
func contactsOf(env node.Env) []string {
	list := []string{}
	if own := env.Members().Known(env.Self); own != nil {
		for _, a := range own.Addresses {
			list = append(list, a+"/p2p/"+env.Self.String())
		}
	}
	return list
}

// peers lists the other members that the node knows or a seer has heard of, in the order of their names.
func (r *running) peers(ctx context.Context, _ nothing) (list []Peer, err error) {
	err = r.on(ctx, func(ctx context.Context, env node.Env) error {
		list, _ = r.listPeers(ctx, env) // without a seer it is not known who is alive
		return nil
	})
	return list, err
}

// listPeers does so within 2 s. The error says why no seer has answered.
func (r *running) listPeers(ctx context.Context, env node.Env) (list []Peer, unsure error) {
	list = []Peer{}
	within, cancel := clock.WithTimeout(ctx, env.Loop, 2*time.Second)
	defer cancel()
	alive, unsure := seerapi.NewClient(env.Wire).Lookup(within, "")
	for _, m := range env.Members().List() {
		if m.Peer == env.Self || m.Left {
			continue
		}
		p := Peer{Peer: m.Peer.String(), Name: m.Name, Services: m.Services, Addresses: m.Addresses}
		if unsure == nil {
			at := slices.IndexFunc(alive, func(a seerapi.Member) bool { return a.Peer == m.Peer })
			is := at >= 0
			if p.Alive = &is; is {
				p.setHistory(alive[at].History)
			}
		}
		list = append(list, p)
	}
	for _, m := range alive {
		if m.Peer != env.Self && !slices.ContainsFunc(list, func(p Peer) bool { return p.Peer == m.Peer.String() }) {
			is := true
			p := Peer{Peer: m.Peer.String(), Name: m.Name, Services: m.Services, Addresses: m.Addresses, Alive: &is}
			p.setHistory(m.History)
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b Peer) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Peer, b.Peer)) })
	return list, unsure
}

func (p *Peer) setHistory(h *seerapi.History) {
	if h == nil {
		return
	}
	at := time.Unix(h.FirstSeen, 0).UTC()
	if p.FirstSeen = &at; !h.AdmittedBy.IsZero() {
		p.AdmittedBy = h.AdmittedBy.String()
	}
}

// auth runs f, which asks the auth of this node.
func (r *running) auth(ctx context.Context, what string, f func(ctx context.Context, env node.Env) error) error {
	if !slices.Contains(r.cfg.Shape.Services, authapi.Service) {
		return transport.New(transport.Refused, what, "this node runs no auth: ask on one that does")
	}
	return r.on(ctx, func(ctx context.Context, env node.Env) error {
		if env.Authority.Issuer() == nil {
			return transport.New(transport.Refused, what, "the certificate of this node does not let it sign others: tau certify gives it one that does, with the cloud's key")
		}
		return f(ctx, env)
	})
}

// otherAddressesMax bounds the addresses of each further auth in an invitation, which has 8 KiB.
const otherAddressesMax = 4

// invite makes an invitation that this node honours, and two other auths if there are.
func (r *running) invite(ctx context.Context, req InviteRequest) (resp InviteResponse, err error) {
	secret := make([]byte, 32)
	_, _ = crand.Read(secret)
	services := slices.Compact(slices.Sorted(slices.Values(req.Services)))
	err = r.auth(ctx, "invite", func(ctx context.Context, env node.Env) error {
		made, err := authapi.Invite.Call(ctx, env.Wire, env.Self, authapi.InviteRequest{
			Key: transport.NewIdentity(secret).Peer(), Services: services, For: req.For, Uses: req.Uses,
		})
		if err != nil {
			return err
		}
		own := env.Members().Known(env.Self)
		if own == nil || len(own.Addresses) == 0 {
			return errors.New("this node does not know its own addresses: set p2p-announce")
		}
		ticket := membership.Ticket{Invitation: made.Invitation, Secret: secret, CloudKey: env.Authority.Anchor(), Addresses: own.Addresses[:min(len(own.Addresses), 16)]}
		i, err := membership.OpenInvitation(made.Invitation)
		if err != nil {
			return err
		}
		for _, p := range i.With {
			if known := env.Members().Known(p); known != nil {
				ticket.Others = append(ticket.Others, membership.Contact{Peer: p, Addresses: known.Addresses[:min(len(known.Addresses), otherAddressesMax)]})
			}
		}
		resp = InviteResponse{Invitation: ticket.Text(), Services: services, Until: time.Now().Add(req.For).UTC()}
		return nil
	})
	return resp, err
}

// push delivers a tree until it is acknowledged: the same event, however often it is tried.
func (r *running) push(ctx context.Context, req PushRequest) (resp PushResponse, err error) {
	id := make([]byte, 16)
	_, _ = crand.Read(id)
	err = r.on(ctx, func(ctx context.Context, env node.Env) error {
		client, event := patrickapi.NewClient(env.Wire), patrickapi.Event{}
		return insist(ctx, env, func() (err error) {
			if event.ID == "" {
				event, err = client.NewEvent(ctx, req.Project, req.Repository, req.Branch, hex.EncodeToString(id), 0)
			}
			if err != nil {
				event = patrickapi.Event{}
				return err
			}
			done, err := client.Push(ctx, patrickapi.PushRequest{
				Project: req.Project, Repository: req.Repository, Branch: req.Branch, Commit: req.Commit, Tree: req.Tree, Event: event,
			})
			resp.Job = done.Job
			return err
		})
	})
	return resp, err
}

// insistFor is how long it is tried again: then whoever asked is told why it was not done.
const insistFor = 10 * time.Second

// unknownFor is how long it is tried again of what no member that answers knows: it may have been made a moment ago, at another one.
const unknownFor = 2 * time.Second

// insist tries again, once a second, what may succeed later.
func insist(ctx context.Context, env node.Env, try func() error) error {
	for began := env.Loop.Elapsed(); ; {
		err := try()
		switch transport.KindOf(err) {
		case 0, transport.Invalid, transport.Conflict, transport.NotAllowed:
			return err
		case transport.NotFound:
			if env.Loop.Elapsed()-began > unknownFor {
				return err
			}
		}
		if env.Loop.Elapsed()-began > insistFor || clock.Sleep(ctx, env.Loop, time.Second) != nil {
			return fmt.Errorf("given up: %w", err)
		}
	}
}

// JobsRequest asks for one job, or the newest of a project, "" for all, and of a branch, "" for all.
type JobsRequest struct{ Job, Project, Branch string }

func (r *running) jobs(ctx context.Context, req JobsRequest) (list []Job, err error) {
	list = []Job{}
	err = r.on(ctx, func(ctx context.Context, env node.Env) error {
		client := patrickapi.NewClient(env.Wire)
		if req.Job != "" {
			j, err := client.Job(ctx, req.Job)
			if err == nil {
				list = append(list, jobOf(j))
			}
			return err
		}
		found, err := client.List(ctx, patrickapi.ListRequest{Project: req.Project, Branch: req.Branch})
		for _, j := range found.Jobs {
			list = append(list, jobOf(j))
		}
		return err
	})
	return list, err
}

func jobOf(j patrickapi.Job) Job {
	return Job{Job: j.ID, Project: j.Project, Branch: j.Branch, Commit: j.Commit, Status: j.Status.String(), Attempts: j.Attempts,
		Accepted: time.Unix(0, j.Accepted).UTC(), Error: j.Error}
}
