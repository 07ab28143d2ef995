package transporttest_test

import (
	"testing"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/transporttest"
)

func TestPipeNet(t *testing.T) {
	transporttest.Run(t, transporttest.Live(func(_ *testing.T, ids []transport.Identity, _ transport.Directory) transporttest.Start {
		net := transporttest.NewPipeNet()
		return func(i int) (transport.Host, []transport.Option) { return net.Host(ids[i].Peer()), nil }
	}))
}
