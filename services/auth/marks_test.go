package auth

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// TestATokenTakenBackIsSoUntilItEnds: the mark says when the token would have ended, and is forgotten a day after that and not before.
func TestATokenTakenBackIsSoUntilItEnds(t *testing.T) {
	atDesk(t, func(d *desk) {
		d.turn(func(ctx context.Context, s *Service) {
			now := s.env.Loop.Now()
			for life, kept := range map[time.Duration]bool{30 * 24 * time.Hour: true, -23 * time.Hour: true, -25 * time.Hour: false} {
				r := deskToken
				r.NotAfter = now.Add(life).Unix()
				require.NoError(t, storage.Put(s.store, tokenKey(r.ID), transport.Encode(r)))
				_, err := s.revokeToken(ctx, s.env.Self, authapi.TokenRevokeRequest{ID: r.ID})
				require.NoError(t, err)
				mark, err := s.store.Get(tokenRevokedKey(r.ID))
				require.NoError(t, err)
				require.Equal(t, r.NotAfter, parseNumber(mark), life)
				batch := new(storage.Batch)
				s.dropEndedTokens(batch)
				require.NoError(t, s.store.Apply(batch))
				require.Equal(t, kept, s.tokenRevoked(r.ID), life)
			}
		})
	})
}
