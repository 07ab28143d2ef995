package transporttest_test

import (
	"testing"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/transporttest"
)

func TestPipeNet(t *testing.T) {
	transporttest.Run(t, transporttest.Live(func(_ *testing.T, ids []transport.Identity) func(i int) transport.Host {
		net := transporttest.NewPipeNet()
		return func(i int) transport.Host { return net.Host(ids[i].Peer()) }
	}))
}
