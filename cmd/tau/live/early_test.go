package live

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/rehearsal"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// TestToldToEndBeforeItHasStarted: a node that waits for others to hand it what it had, and is told to end meanwhile, ends in order: it
// has not failed to start.
func TestToldToEndBeforeItHasStarted(t *testing.T) {
	root, err := os.MkdirTemp("", "tau-") // the path of a socket is short
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(root)) })
	paths, secret := shape.PathsOf(root, "one"), bytes.Repeat([]byte{1}, shape.KeyLen)
	cloud, other := transport.NewIdentity([]byte("cloud")), transport.NewIdentity([]byte("other"))
	s := shape.Defaults()
	s.Name, s.Network, s.CloudKey, s.PrivateKey = "one", "cloud.example.com", cloud.Peer().String(), base64.StdEncoding.EncodeToString(secret)
	s.Services, s.Listen, s.Peers = []string{"hoarder"}, []string{"/ip4/127.0.0.1/tcp/0"}, []string{"/ip4/127.0.0.1/tcp/1/p2p/" + other.Peer().String()}
	begins := time.Now().Add(-time.Minute)
	signed, err := membership.Issue(cloud, membership.Certificate{Cloud: s.Network, Serial: 1, Subject: s.Identity().Peer(), Name: "one", Services: s.Services,
		NotBefore: begins.Unix(), NotAfter: begins.Add(time.Hour).Unix()})
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(paths.Keys, 0o700))
	require.NoError(t, WriteFile(paths.Certificate, transport.Encode(membership.Presented{Certificate: signed})))

	var facts bytes.Buffer
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{Shape: s, Paths: paths, Log: NewLog(io.Discard, slog.LevelError, true), Ready: func() { t.Error("it has nobody to be ready with") },
			Rehearse: &Rehearse{is: &rehearsal.Rehearsal{}, facts: reporter{out: &facts}}})
	}()
	client := NewClient(paths.Socket)
	require.Eventually(t, func() bool {
		var resp RevokedResponse // the agent that speaks for people answers
		return client.Ask(ctx, "revoked", nil, RevokedRequest{Peer: other.Peer().String()}, &resp) == nil
	}, 20*time.Second, 20*time.Millisecond)
	end()
	require.NoError(t, <-ended)
	require.NotContains(t, facts.String(), "start-failed")
}
