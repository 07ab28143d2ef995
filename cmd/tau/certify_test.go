package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mr-tron/base58"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// TestOnlyACertificateOfTheCloudIsInstalled: nothing is written of one that another key has signed, that is another node's,
// of another cloud, or out of its time.
func TestOnlyACertificateOfTheCloudIsInstalled(t *testing.T) {
	root := t.TempDir()
	tau := func(stdin string, args ...string) (int, string) {
		var out bytes.Buffer
		return run(append(args, "--root", root, "-s", "one"), strings.NewReader(stdin), &out, &out), out.String()
	}
	code, said := tau("", "config", "generate", "-n", "cloud.example.com", "--protos", "all", "--p2p-port", "0")
	require.Equal(t, exitDone, code, said)
	paths := shape.PathsOf(root, "one")
	s, err := shape.Load(paths.Config)
	require.NoError(t, err)
	cloud, err := readCloudKey(filepath.Join(root, "keys", "cloud.key"))
	require.NoError(t, err)
	other := transport.NewIdentity(bytes.Repeat([]byte{7}, shape.KeyLen))
	before, err := os.ReadFile(paths.Certificate)
	require.NoError(t, err)

	now := time.Now()
	certificate := func(by transport.Identity, network string, subject transport.Peer, from, to time.Time) string {
		signed, err := membership.Issue(by, membership.Certificate{
			Cloud: network, Serial: 1, Subject: subject, Name: "one", Services: slices.Sorted(slices.Values(shape.ServiceNames())), NotBefore: from.Unix(), NotAfter: to.Unix(),
		})
		require.NoError(t, err)
		return certificatePrefix + base58.Encode(transport.Encode(membership.Presented{Certificate: signed}))
	}
	self, hour := s.Identity().Peer(), time.Hour
	for why, text := range map[string]string{
		"another key":   certificate(other, s.Network, self, now, now.Add(hour)),
		"another node":  certificate(cloud.Identity, s.Network, other.Peer(), now, now.Add(hour)),
		"another cloud": certificate(cloud.Identity, "other.example.com", self, now, now.Add(hour)),
		"its end":       certificate(cloud.Identity, s.Network, self, now.Add(-3*hour), now.Add(-hour)),
		"its beginning": certificate(cloud.Identity, s.Network, self, now.Add(hour), now.Add(2*hour)),
	} {
		code, said := tau(text, "certify", "--install", "-")
		require.Equal(t, exitBad, code, "%s: %s", why, said)
		require.Contains(t, said, "does not count for this node", why)
		after, err := os.ReadFile(paths.Certificate)
		require.NoError(t, err)
		require.Equal(t, before, after, why)
	}
	code, said = tau(certificate(cloud.Identity, s.Network, self, now, now.Add(hour)), "certify", "--install", "-")
	require.Equal(t, exitDone, code, said)
	after, err := os.ReadFile(paths.Certificate)
	require.NoError(t, err)
	require.NotEqual(t, before, after)
}
