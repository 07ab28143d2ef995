package auth_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/auth/token"
	"github.com/taucloud/tau/transport"
)

func newToken(t *testing.T, n byte, life time.Duration, now time.Time) (string, token.Record) {
	text, r, err := token.New(bytes.Repeat([]byte{n}, token.SecretLen), []string{"shop"}, []token.Scope{token.Read}, now, life)
	require.NoError(t, err)
	return text, r
}

// checkAt asks one auth itself, as the auth that serves patrick would be asked.
func checkAt(ctx context.Context, env node.Env, at *nodetest.Machine, text, project string, scope token.Scope) transport.Kind {
	_, err := authapi.TokenCheck.Call(ctx, env.Wire, at.Peer(), authapi.TokenCheckRequest{Text: text, Project: project, Scope: scope})
	return transport.KindOf(err)
}

// TestATokenIsTakenBackForEver: what one auth stores the other one proves; what one takes back neither allows, after a crash, too, and
// also when it is stored once more.
func TestATokenIsTakenBackForEver(t *testing.T) {
	inTown(t, 2, func(w *town) {
		patrick := w.member("p", node.Configured{Spec: nodetest.Part("patrick", func(node.Env) {})}).Start()
		nodetest.Sleep(10 * time.Second)
		var text string
		var r token.Record
		w.do(w.auths[0], func(ctx context.Context, env node.Env) {
			text, r = newToken(t, 1, time.Hour, env.Loop.Now())
			copies, err := authapi.NewClient(env.Wire).CreateToken(ctx, r)
			require.NoError(t, err)
			assert.Equal(t, 2, copies)
		})
		check := func(project string, scope token.Scope) (kinds []transport.Kind) {
			w.do(patrick, func(ctx context.Context, env node.Env) {
				for _, a := range w.auths {
					kinds = append(kinds, checkAt(ctx, env, a, text, project, scope))
				}
			})
			return kinds
		}
		refused := []transport.Kind{transport.Conflict, transport.Conflict}
		assert.Equal(t, []transport.Kind{0, 0}, check("shop", token.Read))
		assert.Equal(t, refused, check("shop", token.Write))
		assert.Equal(t, refused, check("other", token.Read))

		w.do(w.auths[1], func(ctx context.Context, env node.Env) {
			c := authapi.NewClient(env.Wire)
			copies, err := c.RevokeToken(ctx, r.ID)
			require.NoError(t, err)
			assert.Equal(t, 2, copies)
			_, err = c.RevokeToken(ctx, "0000000000000000")
			assert.Equal(t, transport.NotFound, transport.KindOf(err))
		})
		assert.Equal(t, refused, check("shop", token.Read))
		w.auths[0].Vanish()
		w.auths[0].Start()
		nodetest.Sleep(10 * time.Second)
		w.do(w.auths[0], func(ctx context.Context, env node.Env) {
			_, err := authapi.NewClient(env.Wire).CreateToken(ctx, r)
			require.NoError(t, err)
			list, err := authapi.NewClient(env.Wire).Tokens(ctx)
			require.NoError(t, err)
			assert.Equal(t, []authapi.TokenState{{ID: r.ID, Projects: r.Projects, Scopes: r.Scopes, NotAfter: r.NotAfter, Revoked: true}}, list)
		})
		assert.Equal(t, refused, check("shop", token.Read))
	})
}

// TestTokensEnd, and are forgotten a day later; what is no record is not stored, nor another one of the same ID.
func TestTokensEnd(t *testing.T) {
	inTownOf(t, 1, &auth.AgentSettings{CheckEvery: time.Minute}, func(w *town) {
		nodetest.Sleep(2 * time.Minute)
		w.do(w.auths[0], func(ctx context.Context, env node.Env) {
			c := authapi.NewClient(env.Wire)
			_, short := newToken(t, 1, time.Minute, env.Loop.Now())
			_, err := c.CreateToken(ctx, short)
			require.NoError(t, err)
			_, err = c.RevokeToken(ctx, short.ID)
			require.NoError(t, err)
			other := short
			other.Hash = bytes.Repeat([]byte{9}, len(short.Hash))
			_, err = c.CreateToken(ctx, other)
			assert.Equal(t, transport.Conflict, transport.KindOf(err))
			for _, wrong := range []func(r *token.Record){
				func(r *token.Record) { r.ID = "x" }, func(r *token.Record) { r.Hash = nil },
				func(r *token.Record) { r.Projects = nil }, func(r *token.Record) { r.Projects = []string{"b", "a"} },
				func(r *token.Record) { r.Scopes = []token.Scope{"all"} }, func(r *token.Record) { r.NotAfter += int64((token.LifeMax + time.Hour) / time.Second) },
				func(r *token.Record) { r.NotAfter = 0 },
			} {
				r := short
				wrong(&r)
				_, err := c.CreateToken(ctx, r)
				assert.Equal(t, transport.Invalid, transport.KindOf(err), "%+v", r)
			}
		})
		known := func() (ids []string) {
			w.do(w.auths[0], func(ctx context.Context, env node.Env) {
				_, r := newToken(t, byte(len(w.heard)+2), time.Hour, env.Loop.Now())
				_, err := authapi.NewClient(env.Wire).CreateToken(ctx, r)
				require.NoError(t, err)
				list, err := authapi.NewClient(env.Wire).Tokens(ctx)
				require.NoError(t, err)
				for _, s := range list {
					ids = append(ids, s.ID)
				}
			})
			return ids
		}
		_, short := newToken(t, 1, time.Minute, time.Now())
		nodetest.Sleep(time.Hour)
		assert.Contains(t, known(), short.ID)
		w.heard["a day"] = 1
		nodetest.Sleep(25 * time.Hour)
		assert.NotContains(t, known(), short.ID)
	})
}
