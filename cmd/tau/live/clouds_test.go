package live

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/cmdtest"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// runNode runs a certified node of a cloud until the context ends.
func runNode(ctx context.Context, t *testing.T, root, name string, cloud transport.Identity, port int, services, peers []string) (ready chan struct{}, ended chan error) {
	s, paths := shape.Defaults(), shape.PathsOf(root, name)
	secret := make([]byte, shape.KeyLen)
	copy(secret, root+name)
	s.Name, s.Network, s.CloudKey, s.PrivateKey = name, "cloud.example.com", cloud.Peer().String(), base64.StdEncoding.EncodeToString(secret)
	s.Services, s.Peers, s.DiskReserve = services, peers, "16MiB"
	s.Listen = []string{fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port), fmt.Sprintf("/ip4/127.0.0.1/udp/%d/quic-v1", port)}
	begins := time.Now().Add(-time.Minute)
	signed, err := membership.Issue(cloud, membership.Certificate{Cloud: s.Network, Serial: 1, Subject: s.Identity().Peer(), Name: name, Services: services,
		NotBefore: begins.Unix(), NotAfter: begins.Add(time.Hour).Unix()})
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(paths.Keys, 0o700))
	require.NoError(t, WriteFile(paths.Certificate, transport.Encode(membership.Presented{Certificate: signed})))
	ready, ended = make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{Shape: s, Paths: paths, Log: NewLog(io.Discard, slog.LevelError, true), Ready: func() { close(ready) }})
	}()
	return ready, ended
}

// held is what this process has open.
func held(t *testing.T) (goroutines, files int) {
	list, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("nobody says which files are open")
	}
	require.NoError(t, err)
	return runtime.NumGoroutine(), len(list)
}

// TestNothingIsLeftOfTenClouds that were started and stopped in one process: no goroutine, no file, no port, no lock.
func TestNothingIsLeftOfTenClouds(t *testing.T) {
	var goroutines, files int
	for round := range 5 { // after the first, all is there that a process makes once
		if round == 1 {
			goroutines, files = settledAt(t, 0, 0)
		}
		var ended []chan error
		var ports []int
		ctx, end := context.WithCancel(t.Context())
		for cloud := range 2 {
			root, err := os.MkdirTemp("", "tau-") // the path of a socket is short
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, os.RemoveAll(root)) })
			key, port := transport.NewIdentity(fmt.Append(nil, "cloud", round, cloud)), cmdtest.FreePort(t)
			ready, one := runNode(ctx, t, root, "core", key, port, []string{"auth", "hoarder", "patrick", "seer", "tns"}, nil)
			<-ready
			secret := make([]byte, shape.KeyLen)
			copy(secret, root+"core")
			core := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/p2p/%s", port, transport.NewIdentity(secret).Peer())
			ready, two := runNode(ctx, t, root, "monkey", key, cmdtest.FreePort(t), []string{"monkey"}, []string{core})
			<-ready
			ended, ports = append(ended, one, two), append(ports, port)
		}
		end()
		for _, e := range ended {
			require.NoError(t, <-e)
		}
		for _, port := range ports {
			l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
			require.NoError(t, err, "the port is free again")
			require.NoError(t, l.Close())
		}
	}
	settledAt(t, goroutines, files)
}

// settledAt waits until this process has no more open than that, or, without a demand, until what ends has ended.
func settledAt(t *testing.T, goroutinesMax, filesMax int) (goroutines, files int) {
	last, still := 0, 0
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		goroutines, files = held(t)
		if goroutinesMax == 0 {
			if goroutines == last {
				still++
			} else {
				last, still = goroutines, 0
			}
			if still == 20 {
				return goroutines, files
			}
		} else if goroutines <= goroutinesMax && files <= filesMax {
			return goroutines, files
		}
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			require.FailNow(t, "something is left", "%d goroutines of %d, %d files of %d:\n%s", goroutines, goroutinesMax, files, filesMax, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
