package authapi

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
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

// Invite makes an invitation for who has a secret of 32 bytes, drawn for it, as a ticket. Its caller adds
// where those are who honour it.
func (c *Client) Invite(ctx context.Context, secret []byte, cloudKey transport.Peer, services []string, validity time.Duration, uses uint32) (membership.Ticket, error) {
	services = slices.Compact(slices.Sorted(slices.Values(services)))
	req := InviteRequest{Key: transport.NewIdentity(secret).Peer(), Services: services, For: validity, Uses: uses}
	resp, err := ask.Call(ctx, c.asker, Invite, "", callTimeout, req)
	return membership.Ticket{Invitation: resp.Invitation, Secret: secret, CloudKey: cloudKey}, err
}

// joinTimeout bounds the answer of one of several auths: it waits for disks, and for another auth.
const joinTimeout = 3 * time.Second

// Join comes into the cloud by a ticket. It asks those who honour it, one after the other: 3 s each, if there are several. Conflict: the
// invitation is used up, withdrawn or over.
func Join(ctx context.Context, ep *transport.Endpoint, t membership.Ticket, name string, services []string) (p membership.Presented, err error) {
	contacts := t.Contacts()
	if len(contacts) == 0 {
		return p, transport.New(transport.Invalid, Admit.Name, "this is no invitation")
	}
	req := AdmitRequest{Request: membership.Admit(t, ep.Self(), name, services)}
	unknown := 0
	for _, c := range contacts {
		resp, failed := admitAt(ctx, ep, c.Peer, len(contacts) > 1, req)
		switch transport.KindOf(failed) {
		case 0, transport.Conflict, transport.Invalid:
			return resp.Certificate, failed
		case transport.NotFound:
			unknown++
		}
		if err == nil || transport.KindOf(failed) != transport.NotFound {
			err = failed
		}
	}
	if unknown > len(contacts)/2 { // the others are too few
		err = transport.New(transport.Conflict, Admit.Name, err.Error())
	}
	return p, err
}

func admitAt(ctx context.Context, ep *transport.Endpoint, p transport.Peer, oneOfSeveral bool, req AdmitRequest) (CertificateResponse, error) {
	if oneOfSeveral {
		within, cancel := clock.WithTimeout(ctx, ep.Loop(), joinTimeout)
		defer cancel()
		ctx = within
	}
	return Admit.Call(ctx, ep, p, req)
}
