package attack

import (
	"context"

	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

// What seers answer to those who ask for members, as seer's own types have it.
type (
	anything struct{}
	followed struct {
		Cursor  seerapi.Cursor       `cbor:"1,keyasint"`
		Members []addressbook.Signed `cbor:"3,keyasint,omitempty"`
		Known   bool                 `cbor:"6,keyasint,omitempty"`
	}
)

// hearsay offers seer, as the attacker may, and answers everybody that the members of other clouds are
// members of this one: by what these have signed themselves, which all of their clouds have heard.
func hearsay(ctx context.Context, a *one) error {
	if !a.Pretends(seerapi.Service) {
		return nil
	}
	env := a.Env(seerapi.Service)
	foreign := func() (list []addressbook.Signed) {
		for _, t := range a.Targets {
			if said, up := t.Says(); up && t.Cloud != a.Cloud {
				list = append(list, said)
			}
		}
		return list
	}
	if a.once("serves seer") {
		transport.Method[anything, followed]{Name: "seer/follow", Rule: transport.Member}.Serve(env.Wire,
			func(context.Context, transport.Peer, anything) (followed, error) {
				return followed{Members: foreign(), Known: true}, nil
			})
	}
	// And to those that do not ask: as what they say of themselves, to each seer.
	for _, said := range foreign() {
		for _, t := range a.on(seerapi.Service) {
			a.apart(func(ctx context.Context) {
				_, _ = call(ctx, a, announceAt, t.Peer, announcing{said})
			})
		}
	}
	return nil
}

type announcing struct {
	Said addressbook.Signed `cbor:"1,keyasint"`
}

var announceAt = transport.Method[announcing, anything]{Name: "seer/announce", Rule: transport.Member}
