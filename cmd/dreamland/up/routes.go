package up

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/cmd/dreamland/forge"
	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// routes are all of them.
func routes() []route {
	document := of(http.MethodGet, "/v1/openapi.json", "This document.", func(context.Context, *Universe, nothing) (map[string]any, error) { return document(), nil })
	document.open = true
	calls := of(http.MethodPost, "/v1/projects/{project}/call", "Ask a function once: a substrate runs it, and no port of HTTP is asked.", call)
	calls.lenMax = callLenMax
	return append(failpointRoutes(), []route{
		document, calls,
		of(http.MethodGet, "/v1/status", "The universe and its nodes.", status),
		of(http.MethodPost, "/v1/nodes/{node}/kill", "End a node as kill -9 would.", killNode),
		of(http.MethodPost, "/v1/nodes/{node}/stop", "End a node in order.", stopNode),
		of(http.MethodPost, "/v1/nodes/{node}/start", "Start a node that is down, or let one go on that is paused.", startNode),
		of(http.MethodPost, "/v1/nodes/{node}/pause", "Freeze a node until it is started.", pauseNode),
		of(http.MethodPost, "/v1/partition", "Let nodes of different groups not hear of each other.", partition),
		of(http.MethodPost, "/v1/heal", "End the partition.", heal),
		of(http.MethodGet, "/v1/projects", "What has been pushed.", projectList),
		of(http.MethodGet, "/v1/projects/{project}/refs", "The branches and tags of a project's repository.", refs),
		of(http.MethodGet, "/v1/projects/{project}/versions", "The versions of a branch that are kept, the live one first.", versions),
		of(http.MethodGet, "/v1/projects/{project}/claims", "The requests that the live version of a branch answers.", projectClaims),
		lines(http.MethodGet, "/v1/projects/{project}/said", "What a function has said on all nodes, line by line; with follow for as long as somebody reads.", said),
		of(http.MethodGet, "/v1/projects/{project}/secrets", "The secrets of a project, without their values.", secrets),
		of(http.MethodPost, "/v1/projects/{project}/secrets", "Store a secret for a project's functions or builds, or replace it.", putSecret),
		of(http.MethodPost, "/v1/projects/{project}/secrets/remove", "End a secret at once.", removeSecret),
		of(http.MethodPost, "/v1/projects/{project}/rollback", "Make an older version of a branch live again.", rollback),
		of(http.MethodGet, "/v1/builds", "The newest jobs.", builds),
		lines(http.MethodGet, "/v1/builds/{job}/log", "The log of a job, line by line; with follow until it has ended.", buildLog),
		of(http.MethodGet, "/v1/functions", "What functions have used: requests, time, fuel and memory, by node.", functions),
		of(http.MethodGet, "/v1/requests", "The last requests of browsers, newest first.", requests),
		of(http.MethodGet, "/v1/traffic", "How much has passed between each two nodes.", traffic),
		of(http.MethodPost, "/v1/down", "End the universe in order.", down),
	}...)
}

type nothing struct{}

// Status is a universe and how its nodes are.
type Status struct {
	Running
	Up        string     `json:"up"`
	Processes bool       `json:"processes"`
	Ephemeral bool       `json:"ephemeral"`
	Partition [][]string `json:"partition"`
	Members   []Node     `json:"members"`
}

// Node is one node of a universe. State: starting, up, paused, stopping, down, failed.
type Node struct {
	Name     string   `json:"name"`
	Services []string `json:"services"`
	State    string   `json:"state"`
	// Why it has failed, or is not ready.
	Why      string `json:"why,omitempty"`
	Peer     string `json:"peer"`
	Address  string `json:"address"`
	Restarts int    `json:"restarts"`
	Up       string `json:"up,omitempty"`
	Log      string `json:"log"`
	Socket   string `json:"socket"`
}

func status(ctx context.Context, u *Universe, _ nothing) (Status, error) {
	s := Status{Running: u.says(true), Up: since(u.begun), Processes: u.wishes.processes, Ephemeral: u.plan.Ephemeral, Partition: u.links.parted(), Members: make([]Node, len(u.members))}
	done := make(chan struct{}, len(u.members))
	for i, m := range u.members {
		go func() { s.Members[i] = m.shown(ctx); done <- struct{}{} }()
	}
	for range u.members {
		<-done
	}
	for _, n := range s.Members {
		s.Ready = s.Ready && n.State == stateUp && n.Why == ""
	}
	if s.Partition == nil {
		s.Partition = [][]string{}
	}
	return s, nil
}

func since(t time.Time) string { return time.Since(t).Round(time.Second).String() }

// shown is how a node is now.
func (m *member) shown(ctx context.Context) Node {
	state, why, begun, restarts := m.is()
	if state == stateUp || state == stateStarting {
		why = m.looks(ctx)
		state, _, _, _ = m.is()
	}
	n := Node{Name: m.Name, Services: m.Services, State: state, Why: why, Peer: m.peer.String(), Address: fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", m.Port),
		Restarts: restarts, Log: m.u.place.nodeLog(m.Name), Socket: m.paths.Socket}
	if state != stateDown && state != stateFailed {
		n.Up = since(begun)
	}
	return n
}

type nodeIn struct {
	Node string `json:"node" in:"path"`
}

// Done says what was done to a node.
type Done struct {
	Node  string `json:"node"`
	State string `json:"state"`
	// How it was done, where that is less than one would expect.
	How string `json:"how,omitempty"`
}

func (u *Universe) toNode(name string, f func(m *member) (string, error)) (Done, error) {
	m, err := u.member(name)
	if err != nil {
		return Done{}, err
	}
	how, err := f(m)
	state, _, _, _ := m.is()
	if err != nil {
		err = otherwise{err}
	}
	return Done{m.Name, state, how}, err
}

func killNode(_ context.Context, u *Universe, in nodeIn) (Done, error) {
	return u.toNode(in.Node, func(m *member) (string, error) {
		how := "SIGKILL"
		if !u.wishes.processes {
			how = "its network and disk were taken away at once; what its process had buffered is on the disk all the same: dreamland up --processes has kill -9"
		}
		err := m.kill()
		u.links.hold(m.Name, false)
		return how, err
	})
}

func stopNode(_ context.Context, u *Universe, in nodeIn) (Done, error) {
	return u.toNode(in.Node, func(m *member) (string, error) {
		u.links.hold(m.Name, false)
		return "", m.stop()
	})
}

func startNode(ctx context.Context, u *Universe, in nodeIn) (Done, error) {
	return u.toNode(in.Node, func(m *member) (string, error) {
		if state, _, _, _ := m.is(); state == statePaused {
			return m.pause(false)
		}
		if err := m.start(); err != nil {
			return "", err
		}
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
			if state, why, _, _ := m.is(); state == stateFailed {
				return "", m.damaged(errors.New(why))
			}
			if m.looks(ctx) == "" {
				break
			}
		}
		return "", nil
	})
}

func pauseNode(_ context.Context, u *Universe, in nodeIn) (Done, error) {
	return u.toNode(in.Node, func(m *member) (string, error) { return m.pause(true) })
}

// Partition has groups of nodes.
type Partition struct {
	Groups [][]string `json:"groups"`
}

func partition(_ context.Context, u *Universe, in Partition) (Partition, error) {
	var parts []string
	for _, g := range in.Groups {
		parts = append(parts, strings.Join(g, ","))
	}
	if len(parts) == 0 {
		return in, badRequest(errors.New("expected groups of nodes; those in none are one more group"))
	}
	groups, err := readGroups(strings.Join(parts, "|"), u.names())
	if err != nil {
		return in, badRequest(err)
	}
	if rest := slices.DeleteFunc(u.names(), func(n string) bool { return groupOf(groups, n) >= 0 }); len(rest) > 0 {
		groups = append(groups, rest)
	}
	if len(groups) < 2 {
		return in, badRequest(errors.New("all nodes are in one group: say A,B|C,D, or some of the nodes"))
	}
	u.links.partition(groups)
	return Partition{groups}, nil
}

func heal(_ context.Context, u *Universe, _ nothing) (Partition, error) {
	u.links.partition(nil)
	return Partition{[][]string{}}, nil
}

// Project is what has been pushed under one name.
type Project struct {
	Project string `json:"project"`
	Git     string `json:"git"`
	// URL is where it answers, "" while nothing does.
	URL  string      `json:"url"`
	Refs []forge.Ref `json:"refs"`
	// Branches are those of the refs that are built, with where each answers.
	Branches []Branch `json:"branches"`
}

// Branch is one that is built.
type Branch struct {
	Branch  string `json:"branch"`
	Commit  string `json:"commit"`
	Subject string `json:"subject"`
	URL     string `json:"url"`
	// Live is the commit that answers, which after a rollback, or while a build has not ended, is another one than the branch's; "" while
	// that is not known.
	Live string `json:"live,omitempty"`
}

// branches are those of the refs of a project, each once, the one in production first.
func (u *Universe) branches(project string, refs []forge.Ref) []Branch {
	list := []Branch{}
	for _, r := range refs {
		name, is := branchOf(r.Name)
		if is && !slices.ContainsFunc(list, func(b Branch) bool { return b.Branch == name }) {
			list = append(list, Branch{Branch: name, Commit: r.Commit, Subject: r.Subject, URL: u.url(project, name, refs)})
		}
	}
	slices.SortStableFunc(list, func(a, b Branch) int {
		return cmp.Compare(map[bool]int{true: 0, false: 1}[a.Branch == production], map[bool]int{true: 0, false: 1}[b.Branch == production])
	})
	return list
}

// livesMax bounds of how many branches it is asked, for one list, what is live.
const livesMax = 64

// lives fills in what is live, of at most room branches. What tns does not say stays unknown.
func (u *Universe) lives(ctx context.Context, project string, list []Branch, room int) (left int) {
	for i := range list[:min(len(list), room)] {
		var kept []taulive.Version
		switch err := u.ask(ctx, []string{"tns"}, "versions", nil, taulive.BranchRequest{Project: project, Branch: list[i].Branch}, &kept); {
		case err != nil && !isFailure(err):
			return 0 // no tns answers
		case err == nil && len(kept) > 0 && kept[0].Live:
			list[i].Live = kept[0].Commit
		}
	}
	return room - min(len(list), room)
}

func projectList(ctx context.Context, u *Universe, _ nothing) ([]Project, error) {
	list, room := []Project{}, livesMax
	for _, name := range u.forge.Projects() {
		found, err := u.forge.Refs(ctx, name)
		if err != nil {
			return nil, err
		}
		branches := u.branches(name, found)
		room = u.lives(ctx, name, branches, room)
		list = append(list, Project{name, u.remote(name), u.url(name, production, nil), append([]forge.Ref{}, found...), branches})
	}
	return list, nil
}

func (u *Universe) remote(project string) string {
	return u.place.pushedTo(u.plan) + "/" + project + ".git"
}

type projectIn struct {
	Project string `json:"project" in:"path"`
}

func refs(ctx context.Context, u *Universe, in projectIn) ([]forge.Ref, error) {
	list, err := u.forge.Refs(ctx, in.Project)
	return append([]forge.Ref{}, list...), err
}

type branchIn struct {
	Project string `json:"project" in:"path"`
	Branch  string `json:"branch" in:"query"`
}

func versions(ctx context.Context, u *Universe, in branchIn) (list []taulive.Version, err error) {
	if err := patrickapi.CheckProject(in.Project); err != nil {
		return nil, badRequest(err)
	}
	err = u.ask(ctx, []string{"tns"}, "versions", nil, taulive.BranchRequest{Project: in.Project, Branch: branchOr(in.Branch)}, &list)
	return list, err
}

func branchOr(branch string) string {
	return cmp.Or(branch, production)
}

type rollbackIn struct {
	Project string `json:"project" in:"path"`
	Branch  string `json:"branch,omitempty"`
	// Commit may be its beginning; left out it is that of the version before the live one.
	Commit string `json:"commit,omitempty"`
}

func rollback(ctx context.Context, u *Universe, in rollbackIn) (v taulive.Version, err error) {
	kept, err := versions(ctx, u, branchIn{in.Project, in.Branch})
	if err != nil {
		return v, err
	}
	var commits []string
	for _, k := range kept {
		if !slices.Contains(commits, k.Commit) && (strings.HasPrefix(k.Commit, in.Commit) && in.Commit != "" || in.Commit == "" && k.Commit != kept[0].Commit) {
			commits = append(commits, k.Commit)
		}
	}
	switch {
	case len(commits) == 0 && in.Commit == "":
		return v, noSuch{fmt.Errorf("no version of branch %s of %s is kept but the live one", branchOr(in.Branch), in.Project)}
	case len(commits) == 0:
		return v, noSuch{fmt.Errorf("no version of commit %.64q is kept of branch %s of %s: dreamland versions %[3]s shows those that are", in.Commit, branchOr(in.Branch), in.Project)}
	case len(commits) > 1 && in.Commit != "":
		return v, otherwise{fmt.Errorf("%q begins more than one commit: %s", in.Commit, strings.Join(commits, ", "))}
	}
	err = u.ask(ctx, []string{"tns"}, "rollback", taulive.BranchRequest{Project: in.Project, Branch: branchOr(in.Branch), Commit: commits[0]}, nil, &v)
	return v, err
}

type buildsIn struct {
	Project string `json:"project" in:"query"`
}

func builds(ctx context.Context, u *Universe, in buildsIn) (list []taulive.Job, err error) {
	if in.Project != "" {
		if err := patrickapi.CheckProject(in.Project); err != nil {
			return nil, badRequest(err)
		}
	}
	err = u.ask(ctx, []string{"patrick"}, "jobs", nil, taulive.JobsRequest{Project: in.Project}, &list)
	return list, err
}

type logIn struct {
	Job    string `json:"job" in:"path"`
	Follow bool   `json:"follow" in:"query"`
}

// LogLine is a line of a job's log, or, the last one, what has become of the job.
type LogLine struct {
	Line   string `json:"line,omitempty"`
	Status string `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
}

func buildLog(ctx context.Context, u *Universe, in logIn, send func(LogLine) error) error {
	if !patrickapi.IsJobID(in.Job) {
		return badRequest(fmt.Errorf("%.80q is no job: dreamland builds lists them", in.Job))
	}
	if in.Follow {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		end, err := u.follow(ctx, in.Job, func(line string) {
			if send(LogLine{Line: line}) != nil {
				cancel()
			}
		})
		if err != nil {
			return err
		}
		return send(LogLine{Status: end.Status, Error: end.Error})
	}
	var log taulive.LogResponse
	if err := u.ask(ctx, []string{"patrick"}, "log", nil, taulive.LogRequest{Job: in.Job}, &log); err != nil {
		return err
	}
	for _, line := range log.Lines {
		if err := send(LogLine{Line: line}); err != nil {
			return err
		}
	}
	end, err := u.job(ctx, in.Job)
	if err != nil {
		return err
	}
	return send(LogLine{Status: end.Status, Error: end.Error})
}

func down(_ context.Context, u *Universe, _ nothing) (Running, error) {
	time.AfterFunc(50*time.Millisecond, u.finish) // after the answer
	return u.says(true), nil
}
