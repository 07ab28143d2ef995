package authapi

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/ask"
	"github.com/taucloud/tau/transport/membership"
)

// callTimeout bounds one auth's answer: it waits for a disk, and for a second auth.
const callTimeout = 6 * time.Second

// Client speaks with auths.
type Client struct{ asker *ask.Asker }

// NewClient returns a client that calls through ep.
func NewClient(ep *transport.Endpoint) *Client { return &Client{asker: ask.New(ep, policy)} }

// policy: what one auth has reason to refuse, all others have.
var policy = ask.Policy{Service: Service, Final: []transport.Kind{transport.Invalid, transport.Conflict}, StayWithLast: true}

// Renew asks for a certificate like the one that is shown.
func (c *Client) Renew(ctx context.Context, shown membership.Presented) (membership.Presented, error) {
	resp, err := ask.Call(ctx, c.asker, Renew, "", callTimeout, RenewRequest{Shown: shown})
	return resp.Certificate, err
}

// Revoke takes all certificates of a member back. After Timeout or Unreachable it may have been done.
func (c *Client) Revoke(ctx context.Context, subject transport.Peer) (copies int, err error) {
	resp, err := ask.Call(ctx, c.asker, Revoke, "", callTimeout, RevokeRequest{Subject: subject})
	return resp.Copies, err
}

// Rotate replaces the cloud key.
func (c *Client) Rotate(ctx context.Context, req RotateRequest) (copies int, err error) {
	resp, err := ask.Call(ctx, c.asker, Rotate, "", callTimeout, req)
	return resp.Copies, err
}

// Invite makes an invitation for who has a secret of 32 bytes, drawn for it, as a ticket. Only the auth that has made it
// honours it: the ticket's addresses should lead there.
func (c *Client) Invite(ctx context.Context, secret []byte, cloudKey transport.Peer, services []string, validity time.Duration, uses uint32) (membership.Ticket, error) {
	services = slices.Compact(slices.Sorted(slices.Values(services)))
	req := InviteRequest{Key: transport.NewIdentity(secret).Peer(), Services: services, For: validity, Uses: uses}
	resp, err := ask.Call(ctx, c.asker, Invite, "", callTimeout, req)
	return membership.Ticket{Invitation: resp.Invitation, Secret: secret, CloudKey: cloudKey}, err
}

// Join comes into the cloud by a ticket. It asks the one auth that honours it. Conflict: the
// invitation is used up, withdrawn or over.
func Join(ctx context.Context, ep *transport.Endpoint, t membership.Ticket, name string, services []string) (membership.Presented, error) {
	i, err := membership.OpenInvitation(t.Invitation)
	if err != nil {
		return membership.Presented{}, transport.New(transport.Invalid, Admit.Name, err.Error())
	}
	resp, err := Admit.Call(ctx, ep, i.AdmittedBy, AdmitRequest{Request: membership.Admit(t, ep.Self(), name, services)})
	return resp.Certificate, err
}
