package patrick

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// jobView is a job, as the API shows it.
type jobView struct {
	ID         string    `json:"id"`
	Project    string    `json:"project"`
	Repository string    `json:"repository"`
	Branch     string    `json:"branch"`
	Commit     string    `json:"commit"`
	Status     string    `json:"status"`
	Cancelling bool      `json:"cancelling,omitempty"`
	Attempts   int       `json:"attempts"`
	Rebuilds   int       `json:"rebuilds"`
	Accepted   time.Time `json:"accepted"`
	Artifact   string    `json:"artifact,omitempty"`
	Error      string    `json:"error,omitempty"`
}

// jobsView is a page of jobs, newest first. More: there are others, after the last one.
type jobsView struct {
	Jobs []jobView `json:"jobs"`
	More bool      `json:"more"`
}

// logView is a log as far as it is known. Full: it is all of the last attempt that has ended.
type logView struct {
	Lines []string `json:"lines"`
	Full  bool     `json:"full"`
}

func viewOf(j patrickapi.Job) jobView {
	return jobView{
		ID: j.ID, Project: j.Project, Repository: j.Repository, Branch: j.Branch, Commit: j.Commit, Status: j.Status.String(), Cancelling: j.Cancelling,
		Attempts: j.Attempts, Rebuilds: j.Rebuilds, Accepted: time.Unix(0, j.Accepted).UTC(), Artifact: j.Artifact, Error: j.Error,
	}
}

var (
	errNoToken = &httpError{http.StatusUnauthorized, "expected an API token: Authorization: Bearer tau_..."}
	errDenied  = &httpError{http.StatusForbidden, "this token does not allow that"}
	errNoJob   = &httpError{http.StatusNotFound, "there is no such job, or this token does not allow it"}
)

// apiTimeout bounds what the API asks other services.
const apiTimeout = 12 * time.Second

// allowed proves the token of a request for a project, and returns its name.
func (s *Service) allowed(ctx context.Context, r *http.Request, project, scope string) (id string, err error) {
	text, is := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !is {
		return "", errNoToken
	}
	id, err = s.looks.auth.CheckToken(ctx, text, project, scopeOf(scope))
	switch transport.KindOf(err) {
	case transport.Conflict, transport.NotFound, transport.Invalid:
		return "", errDenied
	}
	return id, err
}

// theJob is that of a request, if its token allows it. Whoever may not learn that there is one does not.
func (s *Service) theJob(ctx context.Context, r *http.Request, scope string) (j patrickapi.Job, token string, err error) {
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		return j, "", errNoToken
	}
	id := r.PathValue("job")
	if !patrickapi.IsJobID(id) {
		return j, "", errNoJob
	}
	if j, err = s.api.Job(ctx, id); err != nil {
		if transport.KindOf(err) == transport.NotFound {
			err = errNoJob
		}
		return j, "", err
	}
	token, err = s.allowed(ctx, r, j.Project, scope)
	if errors.Is(err, errDenied) {
		err = errNoJob
	}
	return j, token, err
}

// asked runs f within a bound, and answers with what it returns.
func asked(w http.ResponseWriter, r *http.Request, in inside, f func(ctx context.Context, s *Service) (any, error)) {
	var resp any
	if err := in(r.Context(), func(ctx context.Context, s *Service) (err error) {
		ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, apiTimeout)
		defer cancel()
		resp, err = f(ctx, s)
		return err
	}); err != nil {
		turnAway(w, r, in, statusError(err))
		return
	}
	answer(w, http.StatusOK, resp)
}

// statusError gives what other services have reason to refuse a status.
func statusError(err error) error {
	var e *transport.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Kind {
	case transport.NotFound:
		return &httpError{http.StatusNotFound, e.Text}
	case transport.Conflict:
		return &httpError{http.StatusConflict, e.Text}
	case transport.Invalid:
		return &httpError{http.StatusBadRequest, e.Text}
	}
	return err
}

func serveJobs(w http.ResponseWriter, r *http.Request, in inside) {
	asked(w, r, in, func(ctx context.Context, s *Service) (any, error) {
		project, q := r.PathValue("project"), r.URL.Query()
		if _, err := s.allowed(ctx, r, project, readScope); err != nil {
			return nil, err
		}
		limit, _ := strconv.Atoi(q.Get("limit")) // what is no number is no limit
		list, err := s.api.List(ctx, patrickapi.ListRequest{Project: project, Branch: q.Get("branch"), After: q.Get("after"), Limit: limit})
		if err != nil {
			return nil, err
		}
		view := jobsView{Jobs: []jobView{}, More: list.More}
		for _, j := range list.Jobs {
			view.Jobs = append(view.Jobs, viewOf(j))
		}
		return view, nil
	})
}

func serveJob(w http.ResponseWriter, r *http.Request, in inside) {
	asked(w, r, in, func(ctx context.Context, s *Service) (any, error) {
		j, _, err := s.theJob(ctx, r, readScope)
		return viewOf(j), err
	})
}

func serveCancel(w http.ResponseWriter, r *http.Request, in inside) {
	asked(w, r, in, func(ctx context.Context, s *Service) (any, error) {
		return s.change(ctx, r, "cancel", func(id string) error { _, err := s.api.Cancel(ctx, id); return err })
	})
}

func serveRebuild(w http.ResponseWriter, r *http.Request, in inside) {
	asked(w, r, in, func(ctx context.Context, s *Service) (any, error) {
		return s.change(ctx, r, "rebuild", func(id string) error { _, err := s.api.Rebuild(ctx, id); return err })
	})
}

// change does something with a job, and says by which token.
func (s *Service) change(ctx context.Context, r *http.Request, what string, do func(id string) error) (any, error) {
	j, token, err := s.theJob(ctx, r, writeScope)
	if err == nil {
		err = do(j.ID)
	}
	if err != nil {
		return nil, err
	}
	s.env.Observe("job-asked-for", node.F("job", j.ID), node.F("what", what), node.F("token", token))
	j, err = s.api.Job(ctx, j.ID)
	return viewOf(j), err
}

// IsStream reports whether a request asks for events as they come, which may take streamMax. Whoever bounds the requests at once has bounds
// of their own for these.
func IsStream(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

func serveLogs(w http.ResponseWriter, r *http.Request, in inside) {
	if IsStream(r) {
		streamLogs(w, r, in)
		return
	}
	asked(w, r, in, func(ctx context.Context, s *Service) (any, error) {
		view, _, err := s.logOf(ctx, r, nil)
		return view, err
	})
}

// logOf is the log of a job, and whether the job has ended and all of the log is there. admit, if there is one, is asked before.
func (s *Service) logOf(ctx context.Context, r *http.Request, admit func(token, project string) error) (view logView, over bool, err error) {
	j, token, err := s.theJob(ctx, r, readScope)
	if err == nil && admit != nil {
		err = admit(token, j.Project)
	}
	if err != nil {
		return view, false, err
	}
	view.Lines = []string{}
	log, err := s.api.Logs(ctx, j.ID)
	if transport.KindOf(err) == transport.NotFound { // there is none yet, or none was kept
		return view, j.Status.Final(), nil
	}
	if err != nil {
		return view, false, err
	}
	view.Lines, view.Full = log.Lines, log.Full
	return view, log.Full && j.Status.Final(), nil
}

const (
	// streamEvery is how often a log is asked for that is streamed; streamMax bounds how long it is, then who reads asks again.
	streamEvery, streamMax = time.Second, 30 * time.Minute
	// streamTries is how often a log may be out of reach, one after the other, before that ends a stream of it.
	streamTries = 10
	// streamWrite is how long who reads a stream may take for what has come in a streamEvery.
	streamWrite = 10 * time.Second
	// StreamsMax bounds the streams at once, streamsOfToken those by one token, streamsOfProject those of jobs of one project.
	StreamsMax, streamsOfToken, streamsOfProject = 256, 8, 32
)

// streams counts the streams, by token and by project. The zero value has none.
type streams struct {
	count int
	by    map[[2]string]int
}

var errStreams = &httpError{http.StatusTooManyRequests, fmt.Sprintf("too many logs are streamed: at most %d at once by one token, %d of one project, %d here", streamsOfToken, streamsOfProject, StreamsMax)}

// begin counts a stream, if there is room, and returns what ends it.
func (s *streams) begin(token, project string) (end func(), err error) {
	t, p := [2]string{"token", token}, [2]string{"project", project}
	if s.count >= StreamsMax || s.by[t] >= streamsOfToken || s.by[p] >= streamsOfProject {
		return nil, errStreams
	}
	if s.by == nil {
		s.by = map[[2]string]int{}
	}
	s.count++
	s.by[t]++
	s.by[p]++
	return func() {
		s.count--
		for _, key := range [][2]string{t, p} {
			if s.by[key]--; s.by[key] == 0 {
				delete(s.by, key)
			}
		}
	}, nil
}

// streamLogs sends the lines of a log as they come, as server-sent events, until the job has ended. A token that is taken back ends it.
func streamLogs(w http.ResponseWriter, r *http.Request, in inside) {
	var view logView
	var told []string
	begun := false
	var end func()
	defer func() {
		if end != nil {
			_ = in(context.WithoutCancel(r.Context()), func(context.Context, *Service) error { end(); return nil })
		}
	}()
	var now time.Time
	tries := 0
	for range streamMax / streamEvery {
		over := false
		err := in(r.Context(), func(ctx context.Context, s *Service) (err error) {
			if begun {
				if err := clock.Sleep(ctx, s.env.Loop, streamEvery); err != nil {
					return err
				}
			}
			ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, apiTimeout)
			defer cancel()
			view, over, err = s.logOf(ctx, r, func(token, project string) (err error) {
				if end == nil {
					end, err = s.streams.begin(token, project)
				}
				return err
			})
			now = s.env.Loop.Now()
			return err
		})
		if err != nil && !begun {
			turnAway(w, r, in, statusError(err))
			return
		}
		if tries++; begun && transport.KindOf(err) == transport.Unreachable && tries <= streamTries {
			continue // whoever has the log of a job that has just ended may be known a moment later
		}
		tries = 0
		if !begun {
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // that of a request does not end a stream
			w.Header().Set("Content-Type", "text/event-stream")
			begun = true
		}
		_ = http.NewResponseController(w).SetWriteDeadline(now.Add(streamWrite)) // where it cannot be set, the server has one
		for _, line := range unheard(told, view.Lines) {
			if raw, err := json.Marshal(line); err == nil {
				fmt.Fprintf(w, "data: %s\n\n", raw)
			}
		}
		told = view.Lines
		if over || err != nil {
			event := "end"
			if err != nil {
				event = "error"
			}
			fmt.Fprintf(w, "event: %s\ndata: {}\n\n", event)
		}
		if http.NewResponseController(w).Flush() != nil || over || err != nil {
			return
		}
	}
}

// unheard are the lines of a log that come after those that were told: a log grows at its end, and of a long one the beginning goes.
// Another attempt begins anew.
func unheard(told, now []string) []string {
	for n := min(len(told), len(now)); n > 0; n-- {
		tail := told[len(told)-n:]
		for at := 0; at+n <= len(now); at++ {
			if equalLines(now[at:at+n], tail) {
				return now[at+n:]
			}
		}
	}
	return now
}

func equalLines(a, b []string) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}
