package patrick

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/patrick/refs"
	"github.com/taucloud/tau/services/patrick/webhook"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

const hookSecret = "a secret of the right length"

// street is an office to which a forge sends webhooks: the forge, and an auth, do what a test says.
type street struct {
	*office
	t          *testing.T
	auth       *nodetest.Machine
	repository authapi.Repository
	secrets    []string
	others     map[string]authapi.Repository // of other webhooks
	authErr    error
	branches   map[string]string // where the forge says that they are
	forgeErr   error
	reportErr  error
	tokens     map[string][]string // their scopes of project p

	mu      sync.Mutex // what follows is written by several patricks, whose turns may be at the same time
	asked   int
	reports []CommitStatus
}

func onStreet(t *testing.T, set setup, f func(s *street)) {
	st := &street{
		t: t, secrets: []string{hookSecret}, branches: map[string]string{}, tokens: map[string][]string{},
		repository: authapi.Repository{Name: "site", Project: "p", URL: "https://forge.example.com/acme/site.git", Forge: "github", Branches: []string{"main", "b-*"}, Hook: "hook1"},
	}
	nodetest.Run(t, func(c *nodetest.Cloud) {
		st.office = &office{Cloud: c, registry: newRegistry()}
		c.Add("registry", node.Configured{Spec: nodetest.Part("tns", st.registry.start)}).Start()
		w := &worker{office: st.office}
		w.Machine = c.Add("monkey-1", node.Configured{Spec: nodetest.Part("monkey", w.start)}).Start()
		st.monkeys = append(st.monkeys, w)
		st.auth = c.Add("auth", node.Configured{Spec: nodetest.Part("auth", st.startAuth)}).Start()
		for i := range max(2, set.patricks) {
			settings := DefaultSettings()
			if set.change != nil {
				set.change(settings)
			}
			spec := Spec(Ends{Forge: func(node.Env) Forge { return st }})
			st.patricks = append(st.patricks, c.Add(fmt.Sprintf("patrick-%d", i+1), node.Configured{Spec: spec, Settings: settings}).Start())
		}
		st.user = c.Caller("user", "monkey")
		st.client = patrickapi.NewClient(st.user.Env.Wire)
		nodetest.Sleep(5 * time.Second)
		f(st)
	})
}

func (s *street) startAuth(env node.Env) {
	authapi.Hook.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req authapi.Named) (resp authapi.HookResponse, err error) {
		if other, is := s.others[req.Name]; is {
			return authapi.HookResponse{Repository: other, Secrets: []string{"its own secret, which nobody here knows"}}, nil
		}
		if s.authErr != nil || req.Name != s.repository.Hook {
			return resp, errors.Join(s.authErr, transport.New(transport.NotFound, "hook", "no"))
		}
		return authapi.HookResponse{Repository: s.repository, Secrets: s.secrets}, nil
	})
	authapi.Forge.Serve(env.Wire, func(context.Context, transport.Peer, authapi.Named) (authapi.ForgeResponse, error) {
		return authapi.ForgeResponse{Repository: s.repository, Token: "t"}, s.authErr
	})
	authapi.RepositoryList.Serve(env.Wire, func(context.Context, transport.Peer, authapi.PageRequest) (authapi.RepositoriesResponse, error) {
		return authapi.RepositoriesResponse{List: []authapi.Repository{s.repository}}, s.authErr
	})
	authapi.TokenCheck.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req authapi.TokenCheckRequest) (resp authapi.TokenCheckResponse, err error) {
		for _, scope := range s.tokens[req.Text] {
			if req.Project == "p" && scope == string(req.Scope) {
				return authapi.TokenCheckResponse{ID: "id"}, nil
			}
		}
		return resp, transport.New(transport.Conflict, "token", "no")
	})
}

// Refs implements Forge.
func (s *street) Refs(_ context.Context, r Remote) (list []refs.Seen, err error) {
	s.mu.Lock()
	s.asked++
	s.mu.Unlock()
	require.Equal(s.t, "acme/site", r.Name)
	for name, c := range s.branches {
		list = append(list, refs.Seen{Name: "refs/heads/" + name, Commit: c})
	}
	return list, s.forgeErr
}

// Report implements Forge.
func (s *street) Report(_ context.Context, r Remote, status CommitStatus) error {
	require.Equal(s.t, "t", r.Token)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reportErr == nil {
		s.reports = append(s.reports, status)
	}
	return s.reportErr
}

func commitOf(n int) string { return fmt.Sprintf("%040x", n) }

// delivery is a webhook as GitHub sends it.
type delivery struct {
	hook, secret, id, event, repository string
	ref, before, after                  string
	body                                []byte
}

func (s *street) gitHub(id, branch string, before, after int) delivery {
	commit := func(n int) string { return fmt.Sprintf("%040x", n) }
	return delivery{hook: "hook1", secret: hookSecret, id: id, event: "push", repository: "acme/site", ref: "refs/heads/" + branch, before: commit(before), after: commit(after)}
}

// ask sends an HTTP request to a patrick, as a member does.
func (s *street) ask(m *nodetest.Machine, r *http.Request) (status int, body string, header http.Header) {
	s.user.Do(func(ctx context.Context) {
		resp, err := httpstream.Do(ctx, s.user.Env.Wire, m.Peer(), patrickapi.HTTP, r)
		require.NoError(s.t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(s.t, err)
		status, body, header = resp.StatusCode, string(text), resp.Header
	})
	return status, body, header
}

func (s *street) deliver(m *nodetest.Machine, d delivery) (status int, body string) {
	if d.body == nil {
		d.body, _ = json.Marshal(map[string]any{"ref": d.ref, "before": d.before, "after": d.after, "repository": map[string]any{"id": 7, "full_name": d.repository}})
	}
	mac := hmac.New(sha256.New, []byte(d.secret))
	mac.Write(d.body)
	r, err := http.NewRequest("POST", "http://patrick/hooks/"+d.hook, bytes.NewReader(d.body))
	require.NoError(s.t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Github-Delivery", d.id)
	r.Header.Set("X-Github-Event", d.event)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	status, body, _ = s.ask(m, r)
	return status, body
}

// all lists the jobs of a branch, newest first.
func (s *street) all(branch string) (list []patrickapi.Job) {
	s.user.Do(func(ctx context.Context) {
		resp, err := s.client.List(ctx, patrickapi.ListRequest{Project: "p", Branch: branch})
		require.NoError(s.t, err)
		list = resp.Jobs
	})
	return list
}

func commits(list []patrickapi.Job) (all []string) {
	for _, j := range list {
		all = append(all, j.Commit)
	}
	return all
}

// TestAWebhookBecomesOneJob of what the forge says, however often it is delivered, and to whom.
func TestAWebhookBecomesOneJob(t *testing.T) {
	onStreet(t, setup{}, func(s *street) {
		s.branches["main"] = commitOf(1)
		for _, m := range s.patricks {
			status, body := s.deliver(m, s.gitHub("d1", "main", 0, 1))
			require.Equal(t, 202, status, body)
			nodetest.Sleep(5 * time.Second)
		}
		jobs := s.all("main")
		require.Len(t, jobs, 1)
		require.True(t, jobs[0].Forge)
		require.Equal(t, commitOf(1), jobs[0].Commit)
		require.Equal(t, "site", jobs[0].Repository)
		require.EqualValues(t, 1, jobs[0].Order)
		require.Len(t, s.Facts("hook-accepted"), 1)
		require.Equal(t, 2, s.Facts("hook-accepted")[0].Fields["copies"])
		require.Len(t, s.Facts("hook-duplicate"), 1)
		require.Equal(t, 1, s.asked, "what is delivered once more is no reason to ask")
		for _, m := range s.patricks {
			s.turn(m, func(_ context.Context, p *Service) { require.False(t, p.noted("site")) })
		}
	})
}

// TestWhereTheForgeSaysThatItIs: a webhook that says something else, forged by who has the secret or come late, builds nothing; a branch
// that goes there and back is built each time.
func TestWhereTheForgeSaysThatItIs(t *testing.T) {
	onStreet(t, setup{}, func(s *street) {
		status, _ := s.deliver(s.patricks[0], s.gitHub("early", "main", 0, 9))
		require.Equal(t, 202, status)
		nodetest.Sleep(5 * time.Second)
		require.Empty(t, s.all("main"))
		for i, c := range []int{1, 2, 1, 2} {
			s.branches["main"] = commitOf(c)
			status, _ := s.deliver(s.patricks[i%2], s.gitHub(fmt.Sprint("d", i), "main", 3-c, c))
			require.Equal(t, 202, status)
			nodetest.Sleep(5 * time.Second)
		}
		require.Equal(t, []string{commitOf(2), commitOf(1), commitOf(2), commitOf(1)}, commits(s.all("main")))
		delete(s.branches, "main")
		status, _ = s.deliver(s.patricks[0], s.gitHub("gone", "main", 2, 0))
		require.Equal(t, 202, status)
		nodetest.Sleep(5 * time.Second)
		jobs := s.all("main")
		require.Equal(t, patrickapi.NoCommit, jobs[0].Commit)
		require.True(t, jobs[0].NewestWins)
		require.Equal(t, patrickapi.Cancelled, jobs[1].Status)
	})
}

// TestAMissedWebhookHeals: the forge is asked now and then.
// Git takes branches of names that no job can have: they make none, are not met anew with each look, and hold up no other.
func TestBranchesOfNamesThatNobodyCanKeep(t *testing.T) {
	onStreet(t, setup{}, func(s *street) {
		for _, name := range []string{"b-caf\xe9", "b-a\x1b[2Jb", "b-a\\b", "b-" + strings.Repeat("a", 600)} {
			s.branches[name] = commitOf(1)
		}
		s.branches["b-é"], s.branches["main"] = commitOf(1), commitOf(2)
		for i := range 3 {
			s.deliver(s.patricks[0], s.gitHub(fmt.Sprint("id", i), "main", 0, 2))
			nodetest.Sleep(20 * time.Second)
		}
		require.Len(t, s.all("main"), 1)
		require.Len(t, s.all("b-é"), 1)
		require.Len(t, s.Facts("ref-moved"), 2)
	})
}

func TestAMissedWebhookHeals(t *testing.T) {
	onStreet(t, setup{}, func(s *street) {
		s.branches["main"], s.branches["other"], s.branches["b-1"] = commitOf(1), commitOf(1), commitOf(2)
		nodetest.Sleep(2 * time.Minute)
		require.Len(t, s.all("main"), 1)
		require.Len(t, s.all("b-1"), 1)
		require.Empty(t, s.all("other"), "not followed")
		asked := s.asked
		nodetest.Sleep(10 * time.Minute)
		require.InDelta(t, 10, s.asked-asked, 5, "by one patrick")
		s.forgeErr = errors.New("down")
		s.branches = map[string]string{}
		nodetest.Sleep(10 * time.Minute)
		require.Len(t, s.all("main"), 1, "no answer is not an empty list")
	})
}

// TestAnAcknowledgedWebhookIsNotLost: the forge is down, and the patrick that took the webhook dies for ever.
func TestAnAcknowledgedWebhookIsNotLost(t *testing.T) {
	onStreet(t, setup{patricks: 3, change: func(s *Settings) { s.PollEvery = 24 * time.Hour }}, func(s *street) {
		s.forgeErr = errors.New("down")
		status, _ := s.deliver(s.patricks[0], s.gitHub("d", "main", 0, 1))
		require.Equal(t, 202, status)
		nodetest.Sleep(30 * time.Second)
		s.patricks[0].Vanish()
		s.forgeErr, s.branches["main"] = nil, commitOf(1)
		nodetest.Sleep(2 * time.Minute)
		s.client = patrickapi.NewClient(s.user.Env.Wire)
		require.Len(t, s.all("main"), 1)
	})
}

// TestWhatIsNoWebhookOfOurs is refused before anything is stored.
func TestWhatIsNoWebhookOfOurs(t *testing.T) {
	onStreet(t, setup{}, func(s *street) {
		s.branches["main"] = commitOf(1)
		good := s.gitHub("d", "main", 0, 1)
		for name, c := range map[string]struct {
			change func(d *delivery)
			status int
		}{
			"unknown hook":        {func(d *delivery) { d.hook = "hook2" }, 404},
			"absurd hook":         {func(d *delivery) { d.hook = strings.Repeat("h", 65) }, 404},
			"no name of a hook":   {func(d *delivery) { d.hook = "%00%ff" }, 404}, // which no question can hold
			"another secret":      {func(d *delivery) { d.secret = "another secret of the right length" }, 401},
			"no secret":           {func(d *delivery) { d.secret = "" }, 401},
			"foreign repository":  {func(d *delivery) { d.repository = "mallory/site" }, 403},
			"no JSON":             {func(d *delivery) { d.body = []byte("{") }, 400},
			"too large":           {func(d *delivery) { d.body = bytes.Repeat([]byte(" "), webhook.BodyLenMax+1) }, 413},
			"ping":                {func(d *delivery) { d.event = "ping" }, 200},
			"a tag":               {func(d *delivery) { d.ref = "refs/tags/v1" }, 200},
			"a branch not built":  {func(d *delivery) { d.ref = "refs/heads/other" }, 200},
			"an id beyond bounds": {func(d *delivery) { d.id = strings.Repeat("x", 257) }, 400},
		} {
			d := good
			c.change(&d)
			status, body := s.deliver(s.patricks[0], d)
			require.Equal(t, c.status, status, "%s: %s", name, body)
			require.NotContains(t, body, hookSecret)
			if status == 200 {
				require.Contains(t, body, "ignored", name)
			}
		}
		nodetest.Sleep(5 * time.Second)
		require.Zero(t, s.asked)
		s.turn(s.patricks[0], func(_ context.Context, p *Service) {
			for _, prefix := range []string{"look", "delivery", "ref"} {
				require.Empty(t, p.store.Entries(storage.K(prefix)))
			}
			require.Equal(t, newReadings(), p.looks.readings)
		})
		s.secrets = []string{"the secret of today, that is new", hookSecret}
		status, _ := s.deliver(s.patricks[0], good)
		require.Equal(t, 202, status, "the old one counts while it is replaced")
		s.secrets = s.secrets[:1]
		good.id = "e"
		status, _ = s.deliver(s.patricks[0], good)
		require.Equal(t, 401, status)
		s.authErr = transport.New(transport.Internal, "auth", "broken")
		status, body := s.deliver(s.patricks[0], good)
		require.Equal(t, 503, status)
		require.NotContains(t, body, "broken")
	})
}

// TestBodiesThatNeverEnd take no more than what their own webhook has: those of others are taken meanwhile.
func TestBodiesThatNeverEnd(t *testing.T) {
	onStreet(t, setup{}, func(s *street) {
		s.others = map[string]authapi.Repository{"evil": {Name: "evil", Project: "e", URL: "https://forge.example.com/evil/evil.git", Forge: "github", Branches: []string{"main"}, Hook: "evil"}}
		loop := s.user.Env.Loop
		statuses := map[int]int{}
		for range 2 * hooksMax {
			loop.Go("evil", func(ctx context.Context) {
				r, err := http.NewRequestWithContext(ctx, "POST", "http://patrick/hooks/evil", nodetest.NewSilence(ctx, loop, "{"))
				require.NoError(t, err)
				r.ContentLength = 1000
				if resp, err := httpstream.Do(ctx, s.user.Env.Wire, s.patricks[0].Peer(), patrickapi.HTTP, r); err == nil {
					statuses[resp.StatusCode]++
				}
			})
		}
		nodetest.Sleep(5 * time.Second)
		s.turn(s.patricks[0], func(_ context.Context, p *Service) { require.Equal(t, hooksOfHook, p.looks.readings.count) })
		status, body := s.deliver(s.patricks[0], s.gitHub("d", "main", 0, 1))
		require.Equal(t, 202, status, body)
		nodetest.Sleep(30 * time.Second)
		s.turn(s.patricks[0], func(_ context.Context, p *Service) { require.Equal(t, newReadings(), p.looks.readings) })
		require.Equal(t, 2*hooksMax-hooksOfHook, statuses[503])
	})
}

// TestReadingsHaveBounds of each webhook, project, address, and of bytes, and hold nothing when they are over.
func TestReadingsHaveBounds(t *testing.T) {
	all := newReadings()
	var begun []*reading
	try := func(address, hook, project string) bool {
		r := &reading{address: address}
		begun = append(begun, r)
		return all.begin(r) && all.of(r, authapi.Repository{Hook: hook, Project: project})
	}
	count := func(n int, address, hook, project func(i int) string) (taken int) {
		for i := range n {
			if try(address(i), hook(i), project(i)) {
				taken++
			}
		}
		return taken
	}
	same, other := func(int) string { return "x" }, func(i int) string { return fmt.Sprint(i) }
	end := func() {
		for _, r := range begun {
			all.end(r)
			all.end(r)
		}
		require.Equal(t, newReadings(), all)
	}
	for name, c := range map[string]struct{ taken, want int }{
		"hook":    {count(20, other, same, same), hooksOfHook},
		"project": {func() int { end(); return count(20, other, other, same) }(), hooksOfProject},
		"address": {func() int { end(); return count(50, same, other, other) }(), hooksOfAddress},
		"all":     {func() int { end(); return count(100, other, other, other) }(), hooksMax},
	} {
		require.Equal(t, c.want, c.taken, name)
	}
	end()
	require.True(t, try("a", "h", "p"))
	evil := begun[len(begun)-1]
	require.True(t, all.grow(evil, hookBytesOfProject))
	require.False(t, all.grow(evil, 1))
	require.True(t, try("b", "i", "q"))
	require.True(t, all.grow(begun[len(begun)-1], hookBytesEach))
	end()
}

// TestDeliveriesAreForgotten, the oldest ones, and all of a repository that there is no more.
func TestDeliveriesAreForgotten(t *testing.T) {
	onStreet(t, setup{change: func(s *Settings) { s.PollEvery = 20 * time.Second }}, func(s *street) {
		s.branches["main"] = commitOf(1)
		for i := range deliveriesMax + 10 {
			status, _ := s.deliver(s.patricks[0], s.gitHub(fmt.Sprint("d", i), "main", 0, 1))
			require.Equal(t, 202, status)
		}
		nodetest.Sleep(30 * time.Second)
		count := func(prefix string) (n int) {
			s.turn(s.patricks[0], func(_ context.Context, p *Service) { n = len(p.store.Entries(storage.K(prefix))) })
			return n
		}
		require.Equal(t, deliveriesMax, count("delivery"))
		require.Equal(t, 1, count("ref"))
		_, body := s.deliver(s.patricks[1], s.gitHub(fmt.Sprint("d", deliveriesMax+9), "main", 0, 1))
		require.Contains(t, body, "duplicate")
		s.repository.Name = "another"
		nodetest.Sleep(3 * time.Minute)
		s.turn(s.patricks[0], func(_ context.Context, p *Service) { require.Empty(t, p.store.Entries(deliveriesKey("site"))) })
	})
}

// TestBranchesThatAreNotNamedAreTold: the first few, those that the patterns name and no job can have.
func TestBranchesThatAreNotNamedAreTold(t *testing.T) {
	all := []refs.Seen{{Name: "refs/heads/main"}, {Name: "refs/heads/other\xff"}, {Name: "refs/tags/b-\xff"}}
	for n := range 6 {
		all = append(all, refs.Seen{Name: fmt.Sprintf("refs/heads/b-%d\xff", n)})
	}
	list := unnamed(authapi.Repository{Branches: []string{"main", "b-*"}}, all)
	require.Len(t, list, unnamedMax)
	for n, said := range list {
		require.Contains(t, said, fmt.Sprintf("b-%d", n))
	}
	require.Empty(t, unnamed(authapi.Repository{Branches: []string{"main", "b-*"}}, all[:3]))
}
