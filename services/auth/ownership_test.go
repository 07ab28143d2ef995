package auth

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// TestACertificateIsOfItsProject: of two projects that got one host on both sides of a partition, one counts, and the certificate of the other one is
// given to nobody.
func TestACertificateIsOfItsProject(t *testing.T) {
	atDesk(t, func(d *desk) {
		const host = "shop.example.com"
		private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
		now := time.Now()
		template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
		raw, err := x509.CreateCertificate(nil, template, template, private.Public(), private)
		require.NoError(t, err)
		key, err := x509.MarshalPKCS8PrivateKey(private)
		require.NoError(t, err)
		put := authapi.CertificatePutRequest{Host: host, Chain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})}
		d.turn(func(ctx context.Context, s *Service) {
			require.NoError(t, s.useKeys([][]byte{bytes.Repeat([]byte{7}, 32)}))
			for _, name := range []string{"shop", "other"} {
				_, err := s.putProject(ctx, guest, authapi.Named{Name: name})
				require.NoError(t, err)
			}
			_, err := s.putDomain(ctx, guest, authapi.Domain{Host: host, Project: "shop"})
			require.NoError(t, err)
			_, err = s.putCertificate(ctx, guest, put)
			require.NoError(t, err)
			got, err := s.certificateFor(ctx, guest, authapi.Named{Name: host})
			require.NoError(t, err)
			require.Equal(t, put.Key, got.Key)

			require.NoError(t, storage.Put(s.store, domainKey(host), transport.Encode(authapi.Domain{Host: host, Project: "other"})))
			_, err = s.certificateFor(ctx, guest, authapi.Named{Name: host})
			require.Equal(t, transport.NotFound, transport.KindOf(err))
		})
	})
}
