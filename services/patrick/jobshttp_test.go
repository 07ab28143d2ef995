package patrick

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport/httpstream"
)

// Tokens by their form only.
var viewer, developer, nobody = tokenOf("1"), tokenOf("2"), tokenOf("3")

func tokenOf(digit string) string {
	return "tau_" + strings.Repeat(digit, 16) + "_" + strings.Repeat(digit, 64)
}

func (s *street) api(method, path, token string, accept ...string) (status int, body string) {
	r, err := http.NewRequest(method, "http://patrick"+path, nil)
	require.NoError(s.t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if len(accept) > 0 {
		r.Header.Set("Accept", accept[0])
	}
	status, body, _ = s.ask(s.patricks[0], r)
	return status, body
}

// TestTheAPIOfJobs: what a token allows and nothing else; who may not know of a job learns nothing of it.
func TestTheAPIOfJobs(t *testing.T) {
	onStreet(t, setup{}, func(s *street) {
		s.tokens[viewer], s.tokens[developer] = []string{"read"}, []string{"read", "write"}
		s.branches["main"] = commitOf(1)
		s.deliver(s.patricks[0], s.gitHub("d", "main", 0, 1))
		nodetest.Sleep(5 * time.Second)
		id := s.all("main")[0].ID
		job := "/v1/jobs/" + id
		unknown := "/v1/jobs/" + patrickapi.JobID("r", "b", "c", patrickapi.Event{ID: "e", Order: 1})
		for _, c := range []struct {
			method, path, token string
			status              int
		}{
			{"GET", "/v1/projects/p/jobs", "", 401}, {"GET", "/v1/projects/p/jobs", nobody, 403}, {"GET", "/v1/projects/other/jobs", viewer, 403},
			{"GET", "/v1/projects/p/jobs?limit=1", viewer, 200}, {"GET", job, viewer, 200}, {"GET", job, "", 401}, {"GET", job, nobody, 404},
			{"GET", unknown, viewer, 404}, {"GET", "/v1/jobs/x", viewer, 404}, {"POST", job + "/cancel", viewer, 404}, {"POST", job + "/rebuild", developer, 409},
			{"GET", job + "/logs", viewer, 200}, {"GET", job + "/logs", nobody, 404}, {"DELETE", job, developer, 405}, {"GET", "/v1/nothing", developer, 404},
			{"POST", job + "/cancel", developer, 200}, {"POST", job + "/rebuild", developer, 200},
		} {
			status, body := s.api(c.method, c.path, c.token)
			require.Equal(t, c.status, status, "%s %s as %q: %s", c.method, c.path, c.token, body)
		}
		var list jobsView
		_, body := s.api("GET", "/v1/projects/p/jobs?branch=main", viewer)
		require.NoError(t, json.Unmarshal([]byte(body), &list))
		require.Len(t, list.Jobs, 1)
		require.Equal(t, id, list.Jobs[0].ID)
		require.Equal(t, 1, list.Jobs[0].Rebuilds)
		require.Len(t, s.Facts("job-asked-for"), 2)
		require.Equal(t, "id", s.Facts("job-asked-for")[0].Fields["token"])
	})
}

// TestALogIsStreamed: its lines come as events while the job runs, and then the end.
func TestALogIsStreamed(t *testing.T) {
	onStreet(t, setup{}, func(s *street) {
		s.tokens[viewer] = []string{"read"}
		s.branches["main"] = commitOf(1)
		s.deliver(s.patricks[0], s.gitHub("d", "main", 0, 1))
		nodetest.Sleep(5 * time.Second)
		id := s.all("main")[0].ID
		w := s.monkeys[0]
		token := w.mustClaim(id)
		w.env.Loop.AfterFunc(3*time.Second, func() {
			w.client.SendLog(patrickapi.LogNote{Job: id, Token: token, Lines: []string{"one", "two"}})
		})
		w.env.Loop.AfterFunc(6*time.Second, func() {
			w.client.SendLog(patrickapi.LogNote{Job: id, Token: token, First: 2, Lines: []string{"three"}})
		})
		root := w.store("one\ntwo\nthree\n")
		var finished error
		w.env.Loop.AfterFunc(8*time.Second, func() {
			w.env.Loop.Go("finish", func(ctx context.Context) {
				_, finished = w.client.Finish(ctx, patrickapi.FinishRequest{Job: id, Token: token, Permanent: true, Error: "no", Log: root, LogSize: 14})
			})
		})
		_, body := s.api("GET", "/v1/jobs/"+id+"/logs", viewer, "text/event-stream")
		nodetest.Sleep(5 * time.Second) // a reader may know of the end before who has reported it does
		require.NoError(t, finished)
		require.Equal(t, "data: \"one\"\n\ndata: \"two\"\n\ndata: \"three\"\n\nevent: end\ndata: {}\n\n", body)
	})
}

// TestStreamsAreFew by one token, which takes nothing of what others and webhooks have, and are given back.
func TestStreamsAreFew(t *testing.T) {
	onStreet(t, setup{}, func(s *street) {
		s.tokens[viewer] = []string{"read"}
		s.branches["main"] = commitOf(1)
		s.deliver(s.patricks[0], s.gitHub("d", "main", 0, 1))
		nodetest.Sleep(5 * time.Second)
		id := s.all("main")[0].ID
		statuses := map[int]int{}
		var open []io.Closer
		for range 130 {
			s.user.Env.Loop.Go("reader", func(ctx context.Context) {
				r, err := http.NewRequest("GET", "http://patrick/v1/jobs/"+id+"/logs", nil)
				require.NoError(t, err)
				r.Header.Set("Authorization", "Bearer "+viewer)
				r.Header.Set("Accept", "text/event-stream")
				if resp, err := httpstream.Do(ctx, s.user.Env.Wire, s.patricks[0].Peer(), patrickapi.HTTP, r); err == nil {
					statuses[resp.StatusCode]++
					open = append(open, resp.Body)
				}
			})
		}
		nodetest.Sleep(5 * time.Second)
		require.Equal(t, map[int]int{200: streamsOfToken, 429: 130 - streamsOfToken}, statuses)
		status, _ := s.deliver(s.patricks[0], s.gitHub("e", "main", 0, 1))
		require.Equal(t, 202, status)
		s.user.Do(func(context.Context) {
			for _, body := range open {
				_ = body.Close()
			}
		})
		nodetest.Sleep(10 * time.Second)
		s.turn(s.patricks[0], func(_ context.Context, p *Service) {
			require.Zero(t, p.streams.count)
			require.Empty(t, p.streams.by)
		})
	})
	var all streams
	for i := range 2 * StreamsMax {
		_, err := all.begin(fmt.Sprint(i), fmt.Sprint(i%4))
		require.Equal(t, i < 4*streamsOfProject, err == nil)
	}
	for i := range 2 * StreamsMax {
		_, _ = all.begin(fmt.Sprint(i), fmt.Sprint("p", i))
	}
	require.Equal(t, StreamsMax, all.count)
}

// TestStatusesAreReported once each, again where the forge does not take them, and not for ever.
func TestStatusesAreReported(t *testing.T) {
	onStreet(t, setup{}, func(s *street) {
		s.branches["main"] = commitOf(1)
		s.deliver(s.patricks[0], s.gitHub("d", "main", 0, 1))
		nodetest.Sleep(10 * time.Second)
		require.Equal(t, []string{"pending"}, states(s.reports))
		s.reportErr = http.ErrServerClosed
		id := s.all("main")[0].ID
		_, err := s.cancel(id)
		require.NoError(t, err)
		nodetest.Sleep(time.Minute)
		require.Len(t, s.reports, 1)
		s.reportErr = nil
		nodetest.Sleep(10 * time.Minute)
		require.Equal(t, []string{"pending", "failure"}, states(s.reports))
		require.Equal(t, CommitStatus{Commit: commitOf(1), State: "failure", Text: "cancelled", Job: id}, s.reports[1])
		for _, m := range s.patricks {
			m.Vanish()
			m.Start()
		}
		nodetest.Sleep(time.Minute)
		require.Len(t, s.reports, 2, "a restart tells nothing again")
	})
}

func states(list []CommitStatus) (all []string) {
	for _, c := range list {
		all = append(all, c.State)
	}
	return all
}

// TestTheDocument describes each route, with what it answers.
func TestTheDocument(t *testing.T) {
	onStreet(t, setup{}, func(s *street) {
		status, body := s.api("GET", "/v1/openapi.json", "")
		require.Equal(t, 200, status)
		var doc struct {
			Openapi string
			Paths   map[string]map[string]struct {
				Summary   string
				Security  []any
				Responses map[string]any
			}
		}
		require.NoError(t, json.Unmarshal([]byte(body), &doc))
		require.Equal(t, "3.1.0", doc.Openapi)
		n := 0
		for _, of := range doc.Paths {
			n += len(of)
		}
		require.Equal(t, len(routes()), n)
		for _, r := range routes() {
			op := doc.Paths[r.path][strings.ToLower(r.method)]
			require.NotEmpty(t, op.Summary, r.path)
			require.Equal(t, r.scope != "", len(op.Security) > 0, r.path)
			require.Contains(t, op.Responses, "default")
		}
		require.Contains(t, body, `"accepted":{"format":"date-time","type":"string"}`)
	})
}

// TestThePageOfAJob: the same whether there is a job or not, and its policy lets nothing of a log run.
func TestThePageOfAJob(t *testing.T) {
	onStreet(t, setup{}, func(s *street) {
		job := patrickapi.JobID("r", "b", "c", patrickapi.Event{ID: "e", Order: 1})
		status, body := s.api("GET", PagePath(job), "")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, page, body)
		status, _ = s.api("GET", PagePath("x"), "")
		require.Equal(t, http.StatusNotFound, status)
		require.Regexp(t, `default-src 'none'.*script-src 'sha256-[^']+'; style-src 'sha256-[^']+'$`, pagePolicy)
		require.NotContains(t, page, "innerHTML")
		require.NotRegexp(t, ` (on[a-z]+|style)=`, page, "its policy forbids it")
	})
}
