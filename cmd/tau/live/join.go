package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/credentials"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/membership"
)

const (
	// joinTimeout bounds one attempt to join, joinAgain is the pause after it.
	joinTimeout = 10 * time.Second
	joinAgain   = time.Second
)

// cloudKey is the key that the configuration names, or the one that has taken its place, as far as the node knows.
func (r *running) cloudKey() (transport.Peer, error) {
	r.mu.Lock()
	env := r.early
	r.mu.Unlock()
	if env != nil {
		return env.Authority.Key(), nil
	}
	return transport.ParsePeer(r.cfg.Shape.CloudKey)
}

// told is what the configuration says of the cloud.
func (r *running) told() (key transport.Peer, contacts []node.Contact, err error) {
	if key, err = transport.ParsePeer(r.cfg.Shape.CloudKey); err != nil {
		return key, nil, err
	}
	for _, text := range r.cfg.Shape.Peers {
		c, err := shape.ParseContact(text)
		if err != nil {
			return key, nil, err
		}
		c.Services = r.cfg.Others[text]
		contacts = append(contacts, c)
	}
	return key, contacts, nil
}

// certificate is the one that this node was given: of the file, or by its invitation, by which it asks until
// ctx ends. What the node has learned since is on its disk.
func (r *running) certificate(ctx context.Context) (*membership.Presented, error) {
	path := r.cfg.Paths.Certificate
	kept, err := readCertificate(path)
	if err == nil {
		return &kept, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if r.cfg.Shape.Invitation == "" {
		return nil, fmt.Errorf("this node has neither a certificate (%s) nor an invitation: set invitation in %s to what tau invite prints", path, r.cfg.Paths.Config)
	}
	for {
		p, err := r.join(ctx)
		switch transport.KindOf(err) {
		case 0:
			r.cfg.Log.Info("joined the cloud", slog.String("cloud", r.cfg.Shape.Network))
			return &p, WriteFile(path, transport.Encode(p))
		case transport.Conflict, transport.Invalid:
			noteRefused(r.cfg.Paths, r.cfg.Shape.Invitation, err)
			return nil, fmt.Errorf("the invitation is not accepted, ask for another: %w", err)
		}
		r.setDoing("joining the cloud: who honours the invitation does not answer yet: " + err.Error())
		r.cfg.Log.Warn("the cloud is not reached yet: it is tried again; are the nodes up that honour the invitation?", slog.String("error", err.Error()))
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(joinAgain):
		}
	}
}

// readCertificate reads the one that is beside the node's keys.
func readCertificate(path string) (p membership.Presented, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return p, err
	}
	if err := transport.Decode(raw, &p); err != nil {
		return p, fmt.Errorf("%s is damaged: bring it back from a backup, or remove it and set an invitation: %w", path, err)
	}
	return p, nil
}

// join asks the auths that honour the invitation, over a host that nobody needs to reach.
func (r *running) join(ctx context.Context) (p membership.Presented, err error) {
	ticket, err := membership.ParseTicket(r.cfg.Shape.Invitation)
	if err != nil {
		return p, transport.New(transport.Invalid, "join", err.Error())
	}
	id := r.cfg.Shape.Identity()
	host, err := libp2p.New(id, nil, nil)
	if err != nil {
		return p, err
	}
	for _, c := range ticket.Contacts() {
		host.SetAddresses(c.Peer, c.Addresses)
	}
	loop := clock.NewNamedLive("join", r.cfg.Log.Logger)
	defer loop.Stop(loopTimeout)
	authority := credentials.New(loop, id.Peer(), membership.NewTrust(r.cfg.Shape.Network, ticket.CloudKey))
	engine := transport.NewEngine(host, loop, transport.NewStaticDirectory(), transport.AuthorizeBy(authority))
	defer engine.Close()
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	services := slices.Sorted(slices.Values(r.cfg.Shape.Services))
	entered := clock.Do(ctx, loop, func(ctx context.Context) {
		p, err = authapi.Join(ctx, engine.Endpoint(loop), ticket, r.cfg.Shape.Name, services)
	})
	return p, errors.Join(err, entered)
}
