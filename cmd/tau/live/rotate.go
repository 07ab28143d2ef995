package live

import (
	"context"
	"errors"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// Issuer is an auth whose certificate lets it sign those of others.
type Issuer struct {
	Peer     string   `json:"peer"`
	Name     string   `json:"name"`
	Services []string `json:"services"`
}

// issuers are those that this node knows now, itself among them.
func (r *running) issuers(ctx context.Context, _ nothing) (list []Issuer, err error) {
	list = []Issuer{}
	err = r.auth(ctx, "rotate", func(_ context.Context, env node.Env) error {
		for _, m := range env.Authority.Issuing() {
			list = append(list, Issuer{m.Peer.String(), m.Name, m.Services})
		}
		return nil
	})
	return list, err
}

// RotateRequest replaces the cloud's key: the encoded statement of the old one, and the encoded certificates of auths by the
// new one.
type RotateRequest struct {
	Rotation []byte   `json:"rotation"`
	Issuers  [][]byte `json:"issuers"`
}

// RotateResponse says on how many auths that is durable.
type RotateResponse struct {
	Copies int `json:"copies"`
}

func (r *running) rotate(ctx context.Context, req RotateRequest) (resp RotateResponse, err error) {
	ask := authapi.RotateRequest{Issuers: make([]membership.Signed, len(req.Issuers))}
	bad := transport.Decode(req.Rotation, &ask.Rotation)
	for i, raw := range req.Issuers {
		bad = errors.Join(bad, transport.Decode(raw, &ask.Issuers[i]))
	}
	if bad != nil {
		return resp, transport.New(transport.Invalid, "rotate", "the statements are not whole")
	}
	err = r.auth(ctx, "rotate", func(ctx context.Context, env node.Env) error {
		done, err := authapi.Rotate.Call(ctx, env.Wire, env.Self, ask)
		resp.Copies = done.Copies
		return err
	})
	return resp, err
}
