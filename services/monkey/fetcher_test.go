package monkey

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// forge is where a yard's commits are, with the auth that has what opens it.
type forge struct {
	*yard
	answer  func(s Source) (patrickapi.Tree, error)
	fetched []Source
	asked   []authapi.SourceRequest
	heads   map[string]string
	source  authapi.SourceResponse
	err     error
}

func (f *forge) Fetch(_ context.Context, s Source) (patrickapi.Tree, error) {
	f.fetched = append(f.fetched, s)
	return f.answer(s)
}

func (f *forge) Head(_ context.Context, s Source) (string, error) {
	if commit, is := f.heads[s.URL+"#"+s.Branch]; is {
		return commit, nil
	}
	if commit, is := f.heads[s.URL]; is {
		return commit, nil
	}
	return "", errors.New("not now")
}

const buildSecret = "first line of a secret\nsecond line of it"

func atForge(t *testing.T, do func(f *forge)) {
	f := &forge{
		answer: func(Source) (patrickapi.Tree, error) {
			return patrickapi.Tree{Files: []patrickapi.File{{Path: "a", Data: []byte("1")}}}, nil
		},
		source: authapi.SourceResponse{
			Repository: authapi.Repository{Name: "r", Project: "p", URL: "ssh://git@forge.example.com/r", KnownHosts: []byte("hosts")},
			Keys:       [][]byte{[]byte("new key"), []byte("old key")}, Secrets: map[string]string{"API": buildSecret},
		},
	}
	inYardWith(t, without{}, nil, func(node.Env) Fetcher { return f }, func(y *yard) {
		f.yard = y
		y.Add("auth", node.Configured{Spec: nodetest.Part("auth", func(env node.Env) {
			authapi.Source.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req authapi.SourceRequest) (authapi.SourceResponse, error) {
				f.asked = append(f.asked, req)
				return f.source, f.err
			})
		})}).Start()
		y.grant = func(g *patrickapi.Grant) { g.Job.Forge, g.Job.Commit = true, strings.Repeat("c", 40) }
		nodetest.Sleep(time.Second)
		do(f)
	})
}

func (f *forge) run(n int) {
	f.offer(job(n))
	nodetest.Sleep(10 * time.Minute)
}

// TestTheCommitOfAForgeIsFetched with the newest key that the forge takes; a forge that is down is asked again, a bad commit is not; a
// branch that was deleted is published as nothing, without a fetch.
func TestTheCommitOfAForgeIsFetched(t *testing.T) {
	atForge(t, func(f *forge) {
		down := 3
		take := f.answer
		f.answer = func(s Source) (patrickapi.Tree, error) {
			if down--; down >= 0 || string(s.Key) == "new key" {
				return patrickapi.Tree{}, errors.New("not now")
			}
			return take(s)
		}
		f.run(1)
		require.Len(t, f.finished, 1)
		require.True(t, f.finished[0].Success, f.finished[0].Error)
		last := f.fetched[len(f.fetched)-1]
		require.Equal(t, Source{URL: "ssh://git@forge.example.com/r", Commit: strings.Repeat("c", 40), Branch: "b", Key: []byte("old key"), KnownHosts: []byte("hosts")}, last)
		require.Len(t, f.fetched, 4)
		require.Equal(t, map[string]string{"API": buildSecret}, f.requests[0].Secrets)
		require.Equal(t, f.monkey.Peer(), f.asked[0].Token.Holder)

		f.answer = func(Source) (patrickapi.Tree, error) { return patrickapi.Tree{}, UserError("a link that escapes") }
		f.fetched = nil
		f.run(2)
		require.True(t, f.finished[1].Permanent)
		require.Len(t, f.fetched, 1)

		f.answer = func(Source) (patrickapi.Tree, error) { return patrickapi.Tree{}, errors.New("down for long") }
		f.run(3)
		require.False(t, f.finished[2].Permanent)
		require.Equal(t, "down for long", f.finished[2].Error)

		f.fetched, f.builds = nil, 0
		f.grant = func(g *patrickapi.Grant) { g.Job.Forge, g.Job.Commit = true, patrickapi.NoCommit }
		f.run(4)
		require.True(t, f.finished[3].Success)
		require.Empty(t, f.fetched)
		require.Zero(t, f.builds)
		require.Empty(t, f.published[len(f.published)-1].Entries)

		f.err = transport.New(transport.Conflict, "auth/source", "not yours")
		f.grant = func(g *patrickapi.Grant) { g.Job.Forge = true }
		f.run(5)
		require.False(t, f.finished[4].Success)
		require.Empty(t, f.fetched)
	})
}

// TestSecretsAreInNoLog, whatever a build prints, and in no error.
func TestSecretsAreInNoLog(t *testing.T) {
	atForge(t, func(f *forge) {
		f.build = func(ctx context.Context, _ clock.Loop, r Request) (Result, error) {
			r.Log("the secret: " + r.Secrets["API"])
			r.Log("second line of it, alone")
			r.Log(strings.Repeat("x", patrickapi.LogLineLenMax-10) + "first line of a secret")
			return Result{}, UserError("failed with " + r.Secrets["API"])
		}
		f.run(1)
		text := fmt.Sprintf("%+v %+v", f.logged, f.finished)
		require.Contains(t, text, "***")
		require.NotContains(t, text, "line of")
		require.True(t, f.finished[0].Permanent)
	})
}
