package nodetest

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/goldentest"
)

const (
	// stepsMax bounds what one input sends.
	stepsMax = 32
	// toAll is the number of all that is served.
	toAll = 0xff
	// stepWithin bounds one of them, in virtual time.
	stepWithin = 5 * time.Second
)

// FuzzService sends arbitrary bytes to all that a node with some services serves: in calls, notes, streams and publications
// of a member that may do anything. No handler may panic, hang or log an error for it, and the node goes on for a minute and
// ends in order. An input is a list of steps: a number of what is served (0xff: all), two bytes of length, a body.
// It begins with the values of golden files, each sent to everything.
func FuzzService(f *testing.F, golden []string, services func(c *Cloud) []node.Configured) {
	for _, value := range goldentest.Values(f, golden...) {
		f.Add(append(binary.BigEndian.AppendUint16([]byte{toAll}, uint16(len(value))), value...))
	}
	f.Add([]byte{toAll, 0, 0})
	f.Fuzz(func(t *testing.T, input []byte) {
		Run(t, func(c *Cloud) {
			var grants []string
			list := services(c)
			for _, s := range list {
				grants = append(grants, s.Spec.Name)
			}
			m := c.Add("fuzzed", list...).Start()
			caller := c.Caller("caller", grants...)
			Sleep(15 * time.Second) // it may wait for others
			served := slices.DeleteFunc(m.Served(), func(s transport.Served) bool { return s.Name == "" })
			for _, s := range stepsOf(input, served) {
				caller.Do(func(ctx context.Context) { caller.send(ctx, m, s.to, s.body) })
			}
			Sleep(time.Minute)
			require.True(t, m.Up())
		})
	})
}

// FuzzEntries has another member that may offer a service write arbitrary entries into its replicated store: what a node gets of
// a bad replica. Nothing may panic, hang or log an error for it; the node goes on, ends in order, and starts with it on its
// disk. An input is a list of entries: the length of a key, the key, two bytes of length, a value.
// It begins with the values of golden files, all of them under each of some keys.
func FuzzEntries(f *testing.F, golden []string, keys []storage.Key, namespace string, spec func(c *Cloud) node.Spec) {
	for _, k := range keys {
		var seed []byte
		for _, value := range goldentest.Values(f, golden...) {
			seed = append(append(seed, byte(len(k))), k...)
			seed = append(binary.BigEndian.AppendUint16(seed, uint16(len(value))), value...)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		entries := entriesOf(input)
		if len(entries) == 0 {
			return
		}
		Run(t, func(c *Cloud) {
			is := spec(c)
			m := c.Add("fuzzed", node.Configured{Spec: is}).Start()
			var env node.Env
			bad := c.Add("bad", node.Configured{Spec: Part(is.Name, func(e node.Env) { env = e })}).Start()
			Sleep(15 * time.Second)
			require.NoError(t, clock.Do(context.Background(), env.Loop, func(ctx context.Context) {
				store, err := env.OpenReplicated(ctx, namespace, storage.History{})
				require.NoError(t, err)
				for _, e := range entries {
					if store.Apply(new(storage.Batch).Put(e.Key, e.Value)) == nil {
						_ = clock.Sleep(ctx, env.Loop, time.Second)
					}
				}
			}))
			Sleep(30 * time.Second)
			require.True(t, bad.Up())
			m.Stop()
			m.Start()
			Sleep(time.Minute)
			require.True(t, m.Up())
		})
	})
}

func entriesOf(input []byte) (list []storage.Entry) {
	for len(input) >= 3 && len(list) < stepsMax {
		n := min(int(input[0]), len(input)-3)
		key, rest := string(input[1:1+n]), input[1+n:]
		size := min(int(binary.BigEndian.Uint16(rest)), len(rest)-2)
		if storage.IsKey(key) {
			list = append(list, storage.Entry{Key: storage.Key(key), Value: rest[2 : 2+size]})
		}
		input = rest[2+size:]
	}
	return list
}

type step struct {
	to   transport.Served
	body []byte
}

func stepsOf(input []byte, served []transport.Served) (list []step) {
	for len(input) >= 3 && len(list) < stepsMax {
		n := min(int(binary.BigEndian.Uint16(input[1:3])), len(input)-3)
		body, number := input[3:3+n], input[0]
		input = input[3+n:]
		if number != toAll {
			list = append(list, step{served[int(number)%len(served)], body})
			continue
		}
		for _, s := range served {
			list = append(list, step{s, body})
		}
	}
	return list
}

// send sends a body in the way in which something is served.
func (c *Caller) send(ctx context.Context, m *Machine, to transport.Served, body []byte) {
	ctx, cancel := clock.WithTimeout(ctx, c.Env.Loop, stepWithin)
	defer cancel()
	body = slices.Clone(body)
	switch to.Kind {
	case "call":
		_, _ = c.Env.Wire.Call(ctx, m.Peer(), to.Name, body)
	case "note":
		_ = c.Env.Wire.Tell(m.Peer(), to.Name, body)
	case "topic":
		c.Env.Wire.Publish(to.Name, body)
	case "stream":
		s, err := c.Env.Wire.OpenStream(ctx, m.Peer(), to.Name, body)
		if err != nil {
			return
		}
		defer s.Reset()
		for range 2 {
			if s.Send(ctx, slices.Clone(body)) != nil {
				return
			}
			_, _ = s.Recv(ctx)
		}
	}
}
