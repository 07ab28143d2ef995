package services_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/substrate"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// TestEqualAssetsStay: a version with the assets of the one before it goes on with them, and nobody waits for what is here.
func TestEqualAssetsStay(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		p := website("hello", false, "www.example.com")
		for _, commit := range []string{"c1", "c2", "c3"} {
			s.publish(p, commit, pages)
			a := s.ask("GET", "http://www.example.com/")
			require.Equal(t, 200, a.status)
			require.Equal(t, commit, a.header.Get(substrateapi.HeaderVersion))
			require.Equal(t, commit == "c1", a.header.Get(substrateapi.HeaderCold) != "", commit)
		}
		require.Len(t, s.Facts("bundle-fetched"), 1)
	})
}

// TestAVersionThatIsBehindIsNotTaken: the tns that is asked for a version's entries may lag behind the one that has told of it. What it names is
// not served, and it is asked again until it has the newer one.
func TestAVersionThatIsBehindIsNotTaken(t *testing.T) {
	version := func(order uint64, commit string) tnsapi.Version {
		return tnsapi.Version{Project: "hello", Branch: "main", Commit: commit, Job: commit, Order: order}
	}
	compiled, err := project.Compile(website("hello", false, "www.example.com"), project.Options{Project: "hello"})
	require.NoError(t, err)
	var entries []tnsapi.Entry
	for _, e := range compiled.Entries {
		entries = append(entries, tnsapi.Entry{Path: e.Path, Value: e.Value})
	}
	nodetest.Run(t, func(c *nodetest.Cloud) {
		newest, behind := version(2, "c2"), 5
		c.Add("tns", node.Configured{Spec: nodetest.Part(tnsapi.Service, func(env node.Env) {
			tnsapi.Lookup.Serve(env.Wire, func(context.Context, transport.Peer, tnsapi.LookupRequest) (tnsapi.LookupResponse, error) {
				v := newest
				if behind--; behind >= 0 {
					v = version(1, "c1")
				}
				return tnsapi.LookupResponse{Version: v, Entries: entries}, nil
			})
			tnsapi.Follow.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ []byte, stream *transport.Stream) {
				for stream.Send(ctx, transport.Encode(tnsapi.FollowResponse{Versions: []tnsapi.Version{newest}, Whole: true})) == nil &&
					clock.Sleep(ctx, env.Loop, time.Second) == nil {
				}
			})
		})}).Start()
		s := &stage{Cloud: c, substrate: c.Add("substrate", node.Configured{Spec: substrate.Spec(nil), Settings: substrate.DefaultSettings()}).Start(), user: c.Caller("user", "gateway")}
		nodetest.Sleep(2 * time.Second)
		require.Positive(t, behind)
		require.Equal(t, substrateapi.Starting, s.ask("GET", "http://www.example.com/").header.Get(substrateapi.HeaderRefused))
		nodetest.Sleep(10 * time.Second)
		require.Negative(t, behind)
		require.Equal(t, "c2", s.ask("GET", "http://www.example.com/").header.Get(substrateapi.HeaderVersion))
		require.Len(t, s.Facts("version-served"), 1)
	})
}

// TestBranchesShareNoFunction: of a function's branches each has places and a log of its own, however alike they are.
func TestBranchesShareNoFunction(t *testing.T) {
	withFunctions(t, func(c *substrate.Settings) { c.FunctionQueue = 0 }, func(s *stage, _ slowGuests) {
		s.publishFunction("c1", 1)
		s.branch = "next"
		s.publishFunction("n1", 1)
		compiled, err := project.Compile(&project.Project{Name: "hello", Scope: project.Scope{
			Domains: []project.Domain{{Base: project.Base{Name: "d"}, FQDN: "www.example.com"}},
			Functions: []project.Function{{Base: project.Base{Name: "f"}, Type: "https", Methods: []string{"GET"}, Paths: []string{"/f/{id}"}, Domains: []string{"d"}, Source: ".",
				Call: "page", Timeout: project.Duration(time.Minute), Memory: 1 << 20}},
		}}, project.Options{Project: "hello", Preview: s.branch})
		require.NoError(t, err)
		at, main := "http://"+compiled.Claims[0].Host+"/f/", "http://www.example.com/f/"
		var first answer
		s.user.Env.Loop.Go("ask", func(ctx context.Context) { first = s.askIn(ctx, "GET", main+"production") })
		nodetest.Sleep(5 * time.Second)
		require.Equal(t, 503, s.ask("GET", main+"x").status, "its place is taken")
		require.Equal(t, "200 n1 preview [A=1 B=2]", s.ask("GET", at+"preview").String())
		require.Equal(t, "200 c1 production [A=1 B=2]", first.String())
		for branch, says := range map[string]string{"main": "two for production", "next": "two for preview"} {
			s.user.Do(func(ctx context.Context) {
				resp, err := substrateapi.Logs.Call(ctx, s.user.Env.Wire, s.substrate.Peer(), substrateapi.LogsRequest{Project: "hello", Branch: branch, Function: "functions/f"})
				require.NoError(t, err)
				require.Len(t, resp.Lines, 2, branch)
				require.Equal(t, says, resp.Lines[1].Text)
			})
		}
	})
}

// TestWhatCouldNotBeFetchedIsFetchedLater: who asks when somebody holds it is answered, however many were told that it is not here.
func TestWhatCouldNotBeFetchedIsFetchedLater(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		s.publishWith(website("hello", false, "www.example.com"), "c1", pages, false)
		nodetest.Sleep(3 * time.Second)
		require.Equal(t, 503, s.ask("GET", "http://www.example.com/").status)
		s.user.Do(func(ctx context.Context) {
			for _, root := range s.user.Env.Blocks.Roots() {
				_, err := hoarderapi.NewClient(s.user.Env.Wire).Pin(ctx, hoarderapi.PinRequest{Root: root.String(), Kind: hoarderapi.Asset, Target: 1, Owner: "test", Holders: []transport.Peer{s.user.Env.Self}})
				require.NoError(t, err)
			}
		})
		nodetest.Sleep(2 * time.Second)
		require.Equal(t, 200, s.ask("GET", "http://www.example.com/").status)
	})
}
