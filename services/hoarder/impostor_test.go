package hoarder

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

// Who says that it is a hoarder and may not be one keeps no copies: it is not asked for any.
func TestWhoMayNotHoardIsNotAsked(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		var evil, honest *nodetest.Machine
		asked := 0
		evil = c.Add("evil", node.Configured{Spec: nodetest.Part("plain", func(env node.Env) {
			env.Wire.Handle("hoarder/pin-copy", transport.Anyone, func(context.Context, transport.Peer, []byte) ([]byte, error) {
				asked++
				return transport.Encode(hoarderapi.PinResponse{Holder: env.Self, Copies: 1, Records: 1}), nil
			})
		})})
		c.Add("seer", node.Configured{Spec: nodetest.Part(seerapi.Service, func(env node.Env) {
			seerapi.Changes.Serve(env.Wire, func(context.Context, transport.Peer, seerapi.ChangesRequest) (seerapi.ChangesResponse, error) {
				l := []seerapi.Member{}
				for _, m := range []*nodetest.Machine{evil, honest} {
					l = append(l, seerapi.Member{Peer: m.Peer(), Services: []string{"hoarder"}})
				}
				return seerapi.ChangesResponse{Full: true, Changed: l}, nil
			})
		})}).Start()
		honest = c.Add("hoarder-1", node.Configured{Spec: Spec(), Settings: DefaultSettings()})
		honest.Start()
		evil.Start()
		user := c.Caller("user")
		nodetest.Sleep(8 * time.Second)
		user.Do(func(ctx context.Context) {
			id, err := user.Env.Blocks.Add(ctx, make([]byte, 5000))
			require.NoError(t, err)
			resp, err := hoarderapi.NewClient(user.Env.Wire).Pin(ctx, asset(id.String(), "me"))
			require.NoError(t, err)
			require.Zero(t, asked)
			require.Equal(t, 1, resp.Copies, "evil is no hoarder by the Authority")
		})
	})
}
