package ask_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/ask"
	"github.com/taucloud/tau/transport/rendezvous"
)

type question struct{}

var method = transport.Method[question, int]{Name: "part/question", Rule: transport.Member}

// parts are three peers that answer as they are told, and a caller.
type parts struct {
	user  *nodetest.Caller
	all   []transport.Peer
	nodes map[transport.Peer]*nodetest.Machine
	fails map[transport.Peer]error
	slow  map[transport.Peer]bool

	mu    sync.Mutex // the peers are on loops of their own
	asked []transport.Peer
}

// seen returns who was asked since the last time.
func (p *parts) seen() []transport.Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = nil
	return asked
}

func run(t *testing.T, f func(p *parts)) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		p := &parts{nodes: map[transport.Peer]*nodetest.Machine{}, fails: map[transport.Peer]error{}, slow: map[transport.Peer]bool{}}
		for i := range 3 {
			m := c.Add(fmt.Sprint("part-", i), node.Configured{Spec: nodetest.Part("part", func(env node.Env) {
				method.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ question) (int, error) {
					p.mu.Lock()
					p.asked = append(p.asked, env.Self)
					p.mu.Unlock()
					if p.slow[env.Self] {
						return 0, clock.Sleep(ctx, env.Loop, time.Hour)
					}
					return 7, p.fails[env.Self]
				})
			})}).Start()
			p.nodes[m.Peer()] = m
		}
		p.user = c.Caller("user")
		p.all = c.Directory.Peers("part")
		f(p)
	})
}

// put asks once, and returns whom, how long it took and what it came to.
func (p *parts) put(t *testing.T, a *ask.Asker) (asked []transport.Peer, took time.Duration, kind transport.Kind) {
	p.seen()
	began := time.Now()
	p.user.Do(func(ctx context.Context) {
		got, err := ask.Call(ctx, a, method, "key", time.Second, question{})
		kind = transport.KindOf(err)
		require.Equal(t, map[bool]int{true: 7, false: 0}[err == nil], got)
	})
	return p.seen(), time.Since(began), kind
}

func as(kind transport.Kind) error { return transport.New(kind, "part", "as told") }

// TestPolicies: what ends the questions, and what is told when nobody answers, by
// what the first, the second and the third peer say.
func TestPolicies(t *testing.T) {
	const no, missing, refused, broken, conflict = transport.Unreachable, transport.NotFound, transport.Refused, transport.Internal, transport.Conflict
	plain := ask.Policy{Service: "part"}
	for name, c := range map[string]struct {
		policy ask.Policy
		says   []transport.Kind // 0: an answer
		asked  int
		told   transport.Kind
	}{
		"the first answers":               {plain, []transport.Kind{0, 0, 0}, 1, 0},
		"the second answers":              {plain, []transport.Kind{broken, 0, 0}, 2, 0},
		"the third answers":               {plain, []transport.Kind{broken, no, 0}, 3, 0},
		"nobody was reached":              {plain, []transport.Kind{no, missing, no}, 3, no},
		"the last error is told":          {plain, []transport.Kind{missing, refused, broken}, 3, broken},
		"a final one ends it":             {ask.Policy{Service: "part", Final: []transport.Kind{conflict}}, []transport.Kind{broken, conflict, 0}, 2, conflict},
		"a telling one is told":           {ask.Policy{Service: "part", Telling: []transport.Kind{refused}}, []transport.Kind{conflict, refused, missing}, 3, refused},
		"but not of who is asked later":   {ask.Policy{Service: "part", Telling: []transport.Kind{refused}}, []transport.Kind{broken, refused, missing}, 3, broken},
		"nor if somebody else may have":   {ask.Policy{Service: "part", Telling: []transport.Kind{refused}}, []transport.Kind{refused, no, refused}, 3, no},
		"nor as it is":                    {ask.Policy{Service: "part", AsTheyAre: []transport.Kind{refused}}, []transport.Kind{broken, missing, refused}, 3, no},
		"also if it is the first":         {ask.Policy{Service: "part", Telling: []transport.Kind{refused}}, []transport.Kind{refused, missing, conflict}, 3, refused},
		"an answer says more":             {ask.Policy{Service: "part", Telling: []transport.Kind{refused}}, []transport.Kind{refused, 0, broken}, 2, 0},
		"not allowed":                     {ask.Policy{Service: "part", AsTheyAre: []transport.Kind{missing}}, []transport.Kind{transport.NotAllowed, transport.NotAllowed, transport.NotAllowed}, 3, transport.NotAllowed},
		"as it is":                        {ask.Policy{Service: "part", AsTheyAre: []transport.Kind{refused}}, []transport.Kind{missing, conflict, refused}, 3, refused},
		"nobody has answered":             {ask.Policy{Service: "part", AsTheyAre: []transport.Kind{refused}}, []transport.Kind{refused, refused, missing}, 3, no},
		"two are asked":                   {ask.Policy{Service: "part", PeersMax: 2}, []transport.Kind{broken, missing, 0}, 2, missing},
		"nobody offers it":                {ask.Policy{Service: "nothing"}, nil, 0, no},
		"final, whatever was said before": {ask.Policy{Service: "part", Final: []transport.Kind{conflict}, Telling: []transport.Kind{refused}}, []transport.Kind{refused, conflict, 0}, 2, conflict},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(p *parts) {
				order := rendezvous.Rank("key", p.all)
				for i, kind := range c.says {
					if kind != 0 {
						p.fails[order[i]] = as(kind)
					}
				}
				asked, _, told := p.put(t, ask.New(p.user.Env.Wire, c.policy))
				require.Equal(t, slices.Concat(order[:c.asked]), asked)
				require.Equal(t, c.told, told)
			})
		})
	}
}

// A silent peer is waited for as long as the limit says, and for no longer than the
// asker's own time.
func TestSilenceIsBounded(t *testing.T) {
	run(t, func(p *parts) {
		order := rendezvous.Rank("key", p.all)
		p.slow[order[0]], p.slow[order[1]] = true, true
		a := ask.New(p.user.Env.Wire, ask.Policy{Service: "part"})
		asked, took, told := p.put(t, a)
		require.Equal(t, order, asked)
		require.Equal(t, 2*time.Second, took)
		require.Zero(t, told)
		p.user.Do(func(ctx context.Context) {
			ctx, cancel := clock.WithTimeout(ctx, p.user.Env.Loop, 1500*time.Millisecond)
			defer cancel()
			_, err := ask.Call(ctx, a, method, "key", time.Second, question{})
			require.Equal(t, transport.Timeout, transport.KindOf(err))
		})
		require.Equal(t, order[:2], p.seen())
	})
}

// TestAnUnknownOutcomeIsTold: a peer that timed out may have done what the others refuse
// to do. One that the question has not reached has not.
func TestAnUnknownOutcomeIsTold(t *testing.T) {
	const refused, timeout = transport.Refused, transport.Timeout
	for _, silent := range []int{0, 1} {
		run(t, func(p *parts) {
			order := rendezvous.Rank("key", p.all)
			for _, peer := range order {
				p.fails[peer] = as(refused)
			}
			p.slow[order[silent]] = true
			a := ask.New(p.user.Env.Wire, ask.Policy{Service: "part", Telling: []transport.Kind{refused}})
			asked, _, told := p.put(t, a)
			require.Equal(t, order, asked)
			require.Equal(t, timeout, told)
			p.nodes[order[silent]].Stop()
			_, _, told = p.put(t, a)
			require.Equal(t, refused, told, "nobody was asked who may have done it")
		})
	}
}

// A peer that did not answer is asked last for a while; one that answered, also
// with an error that is final, is not.
func TestWhoDidNotAnswerIsAvoided(t *testing.T) {
	run(t, func(p *parts) {
		order := rendezvous.Rank("key", p.all)
		a := ask.New(p.user.Env.Wire, ask.Policy{Service: "part", AvoidFor: time.Minute, Final: []transport.Kind{transport.NotFound}})
		expect := func(told transport.Kind, want ...transport.Peer) {
			t.Helper()
			asked, _, kind := p.put(t, a)
			require.Equal(t, want, asked)
			require.Equal(t, told, kind)
		}
		p.fails[order[0]] = as(transport.Refused)
		expect(0, order[0], order[1])
		time.Sleep(time.Minute - time.Nanosecond)
		expect(0, order[1])
		time.Sleep(time.Nanosecond)
		p.fails[order[0]] = as(transport.NotFound)
		expect(transport.NotFound, order[0])
		expect(transport.NotFound, order[0])
		for _, peer := range order {
			p.fails[peer] = as(transport.Refused)
		}
		expect(transport.Refused, order...)
		p.fails[order[0]] = as(transport.NotFound)
		expect(transport.NotFound, order[0])
		require.Equal(t, []transport.Peer{order[0], order[1], order[2]}, a.Order("key"), "who has answered is good again")
		other := "key"
		for n := 0; rendezvous.Rank(other, p.all)[0] == order[0]; n++ {
			other = fmt.Sprint("key-", n)
		}
		require.Equal(t, order[0], a.Order(other)[0], "and the others are not")
	})
}

// A client stays with the peer that answered last, and begins with its own node, or
// else with a peer that differs from node to node.
func TestAClientStaysWithWhoAnswered(t *testing.T) {
	run(t, func(p *parts) {
		a := ask.New(p.user.Env.Wire, ask.Policy{Service: "part", StayWithLast: true})
		self := p.user.Env.Self
		order := rendezvous.Rank(string(self[:]), p.all)
		require.Equal(t, order, a.Order("whatever is asked"))
		p.fails[order[0]] = as(transport.Internal)
		asked, _, _ := p.put(t, a)
		require.Equal(t, order[:2], asked)
		asked, _, _ = p.put(t, a)
		require.Equal(t, order[1:2], asked)
		require.Equal(t, []transport.Peer{order[1], order[0], order[2]}, a.Order(""))
	})
}

// TestInTurn: each answers once in three rounds; who does not answer is passed over, and the round goes on behind who did.
func TestInTurn(t *testing.T) {
	run(t, func(p *parts) {
		a := ask.New(p.user.Env.Wire, ask.Policy{Service: "part", InTurn: true})
		var answered []transport.Peer
		for range 6 {
			asked, _, kind := p.put(t, a)
			require.Zero(t, kind)
			require.Len(t, asked, 1)
			answered = append(answered, asked...)
		}
		require.ElementsMatch(t, p.all, answered[:3])
		require.Equal(t, answered[:3], answered[3:])
		p.fails[answered[0]] = as(transport.Internal)
		for _, want := range [][]transport.Peer{answered[:2], answered[2:3], answered[:2]} {
			asked, _, _ := p.put(t, a)
			require.Equal(t, want, asked)
		}
	})
}

func TestOnesOwnNodeIsAskedFirst(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		envs := map[transport.Peer]node.Env{}
		for i := range 4 {
			c.Add(fmt.Sprint("part-", i), node.Configured{Spec: nodetest.Part("part", func(env node.Env) { envs[env.Self] = env })}).Start()
		}
		for self, env := range envs {
			order := ask.New(env.Wire, ask.Policy{Service: "part", StayWithLast: true}).Order("")
			require.Equal(t, self, order[0])
			order = ask.New(env.Wire, ask.Policy{Service: "part", InTurn: true}).Order("")
			require.Equal(t, self, order[3], "who asks in turn asks itself last")
			require.ElementsMatch(t, c.Directory.Peers("part"), order)
		}
	})
}

// TestOnly: who speaks to some peers speaks to no other, in the order that they would have.
func TestOnly(t *testing.T) {
	run(t, func(p *parts) {
		a, order := ask.New(p.user.Env.Wire, ask.Policy{Service: "part"}), rendezvous.Rank("key", p.all)
		put := func(only ...transport.Peer) (asked []transport.Peer, err error) {
			p.seen()
			p.user.Do(func(ctx context.Context) {
				_, err = ask.Call(ask.Only(ctx, only), a, method, "key", time.Second, question{})
			})
			return p.seen(), err
		}
		p.fails[order[1]] = as(transport.Internal)
		asked, err := put(order[2], order[1])
		require.NoError(t, err)
		require.Equal(t, []transport.Peer{order[1], order[2]}, asked)
		asked, err = put(order[1])
		require.Equal(t, transport.Internal, transport.KindOf(err))
		require.Equal(t, order[1:2], asked)
		asked, err = put()
		require.Equal(t, transport.Unreachable, transport.KindOf(err))
		require.ErrorContains(t, err, "no part among the peers that may be asked")
		require.Empty(t, asked)
	})
}
