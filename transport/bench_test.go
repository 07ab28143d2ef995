package transport_test

import (
	"context"
	"testing"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/transporttest"
)

func BenchmarkCall(b *testing.B) {
	net, dir := transporttest.NewPipeNet(), transport.NewStaticDirectory()
	client, server := newNode(b, net, "a", dir), newNode(b, net, "b", dir)
	server.Handle("bench/echo", transport.Anyone, echo)
	request := make([]byte, 100)
	b.ReportAllocs()
	client.do(b, func(ctx context.Context) {
		for b.Loop() {
			if _, err := client.Call(ctx, server.Self(), "bench/echo", request); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkTell waits for the notes to be handled, a thousand at a time.
func BenchmarkTell(b *testing.B) {
	net, dir := transporttest.NewPipeNet(), transport.NewStaticDirectory()
	client, server := newNode(b, net, "a", dir), newNode(b, net, "b", dir)
	received, sent := 0, 0
	var wake func()
	server.HandleTell("bench/note", transport.Anyone, func(context.Context, transport.Peer, []byte) {
		if received++; received%1000 == 0 && wake != nil {
			wake()
		}
	})
	message := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		if err := client.Tell(server.Self(), "bench/note", message); err != nil {
			b.Error(err)
		}
		if sent++; sent%1000 != 0 {
			continue
		}
		server.do(b, func(ctx context.Context) {
			for received < sent {
				_ = server.loop.Park(ctx, func(w func()) { wake = w })
			}
		})
	}
}
