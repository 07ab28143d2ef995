package up

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/taucloud/tau/cmd/dreamland/forge"
	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// The forge of a universe tells the cloud of pushes as any forge does: a project has a repository in auth, with the secret of its webhook;
// a branch that moves is a signed delivery to the front door of a patrick, which asks the forge where its branches are, and a monkey
// fetches the commit from the forge.

const (
	// hookWithin bounds one delivery.
	hookWithin = 10 * time.Second
	// jobWithin bounds how long the job of a delivery is waited for, jobEvery is how often it is looked for.
	jobWithin, jobEvery = 30 * time.Second, 30 * time.Millisecond
)

// builtBranches are those of which pushes are built: all, as far as patterns go.
var builtBranches = []string{"*", "*/*", "*/*/*", "*/*/*/*"}

// hooks makes and remembers the repositories of projects in auth.
type hooks struct {
	u     *Universe
	mu    sync.Mutex
	known map[string]string // the name of the webhook of a project
}

// secretOf is the secret of a project's webhook. It is made of the universe's own key, so that it is nowhere else.
func (h *hooks) secretOf(project string) []byte {
	mac := hmac.New(sha256.New, []byte(h.u.key))
	mac.Write([]byte("webhook of " + project))
	return []byte(hex.EncodeToString(mac.Sum(nil)))
}

// of is the name of a project's webhook, which is made with its repository if there is none.
func (h *hooks) of(ctx context.Context, project string) (string, error) {
	h.mu.Lock()
	hook := h.known[project]
	h.mu.Unlock()
	if hook != "" {
		return hook, nil
	}
	want := authapi.Repository{
		Name: project, Project: project, URL: h.u.remote(project), Forge: "generic", ForgeName: project, Branches: builtBranches,
	}
	var list []authapi.Repository
	if err := h.auth(ctx, taulive.AuthRequest{Do: "repositories", Name: project}, &list); err != nil {
		return "", err
	}
	i := slices.IndexFunc(list, func(r authapi.Repository) bool { return r.Name == project && r.URL == want.URL && r.Hook != "" })
	if i >= 0 {
		hook = list[i].Hook
	} else {
		var added authapi.RepositoryResponse
		if err := h.auth(ctx, taulive.AuthRequest{Do: "project-add", Name: project}, new(authapi.Done)); err != nil {
			return "", err
		}
		if err := h.auth(ctx, taulive.AuthRequest{Do: "repository-add", Repository: &want}, &added); err != nil {
			return "", err
		}
		hook = added.Repository.Hook
	}
	var secrets []authapi.SecretState
	if err := h.auth(ctx, taulive.AuthRequest{Do: "secrets", Name: project}, &secrets); err != nil {
		return "", err
	}
	if !slices.ContainsFunc(secrets, func(s authapi.SecretState) bool { return s.ID.Kind == authapi.HookSecret && s.Until == 0 }) {
		if err := h.putSecret(ctx, project); err != nil {
			return "", err
		}
	}
	h.mu.Lock()
	h.known[project] = hook
	h.mu.Unlock()
	return hook, nil
}

func (h *hooks) putSecret(ctx context.Context, project string) error {
	put := authapi.SecretPutRequest{ID: authapi.SecretID{Kind: authapi.HookSecret, Owner: project}, Value: h.secretOf(project)}
	return h.auth(ctx, taulive.AuthRequest{Do: "secret-put", Secret: &put}, new(authapi.SecretPutResponse))
}

func (h *hooks) auth(ctx context.Context, req taulive.AuthRequest, into any) error {
	return h.u.ask(ctx, []string{"auth"}, "auth", req, nil, into)
}

// forget lets the repository of a project be looked at anew.
func (h *hooks) forget(project string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.known, project)
}

// moved readdresses the repositories of projects whose forge listens elsewhere than it did.
func (h *hooks) moved(ctx context.Context) {
	for _, project := range h.u.forge.Projects() {
		if _, err := h.of(ctx, project); err != nil && ctx.Err() == nil {
			h.u.log.Info("a repository is not known to auth yet", slog.String("project", project), slog.String("error", err.Error()))
		}
	}
}

// errUnproven says that a patrick does not believe the signature.
var errUnproven = errors.New("the webhook's signature is not believed")

// send delivers that a branch has moved, to the first patrick that takes it. before and after are nowhere where it was not, or is not any more.
func (h *hooks) send(ctx context.Context, project, branch, before, after string) error {
	hook, err := h.of(ctx, project)
	if err != nil {
		return err
	}
	err = h.post(ctx, hook, project, branch, before, after)
	if errors.Is(err, errUnproven) { // auth has another one: it is set to what it should be
		if err := h.putSecret(ctx, project); err != nil {
			return err
		}
		err = h.post(ctx, hook, project, branch, before, after)
	}
	if err != nil {
		h.forget(project)
	}
	return err
}

// nowhere is what a webhook says instead of a commit that there is not.
const nowhere = "0000000000000000000000000000000000000000"

func (h *hooks) post(ctx context.Context, hook, project, branch, before, after string) error {
	body, err := json.Marshal(map[string]any{
		"event":      "push",
		"repository": map[string]any{"id": project, "name": project, "default_branch": production},
		"updates":    []any{map[string]any{"ref": "refs/heads/" + branch, "before": before, "after": after}},
	})
	if err != nil {
		return err
	}
	id, at := hex.EncodeToString(secret(16)), strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, h.secretOf(project))
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	header := http.Header{"Content-Type": {"application/json"}, "Webhook-Id": {id}, "Webhook-Timestamp": {at}, "Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))}}
	err = errors.New("no patrick of the universe runs")
	for _, m := range h.u.askable("patrick") {
		if m.Hooks == 0 {
			continue
		}
		if err = postHook(ctx, "http://"+onLoopback(m.Hooks)+"/hooks/"+hook, header, body); err == nil || errors.Is(err, errUnproven) {
			return err
		}
	}
	return err
}

func postHook(ctx context.Context, address string, header http.Header, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, hookWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = header
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	switch resp.StatusCode {
	case http.StatusAccepted, http.StatusOK:
		return nil
	case http.StatusUnauthorized:
		return errUnproven
	}
	return fmt.Errorf("patrick answers %s: %s", resp.Status, plainText(strings.TrimSpace(string(said))))
}

// deliverHook tells of a branch, and waits for the job that patrick makes of what it sees at the forge.
func (d *deliverer) deliverHook(ctx context.Context, m forge.Moved) (string, error) {
	if err := d.hooks.send(ctx, m.Project, m.Branch, nowhere, m.Commit); err != nil {
		return "", err
	}
	for end := time.Now().Add(jobWithin); ; {
		j, err := d.u.newestOf(ctx, m.Project, m.Branch)
		switch {
		case err == nil && j.Commit == m.Commit:
			return j.Job, nil
		case err == nil && d.overtaken(ctx, m):
			return "", forge.Refused(errors.New("the branch has moved on, and is built where it is now"))
		case time.Now().After(end):
			return "", fmt.Errorf("patrick has the webhook and no job yet: %w", errors.Join(err, errNoJobYet))
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(jobEvery):
		}
	}
}

var errNoJobYet = errors.New("it asks the forge where the branch is")

// overtaken reports whether a branch is elsewhere by now.
func (d *deliverer) overtaken(ctx context.Context, m forge.Moved) bool {
	list, err := d.u.forge.Refs(ctx, m.Project)
	return err == nil && !slices.ContainsFunc(list, func(r forge.Ref) bool { return r.Name == m.Branch && r.Commit == m.Commit })
}

// newestOf is the newest job of a branch.
func (u *Universe) newestOf(ctx context.Context, project, branch string) (j taulive.Job, err error) {
	var list []taulive.Job
	if err := u.ask(ctx, []string{"patrick"}, "jobs", nil, taulive.JobsRequest{Project: project, Branch: branch}, &list); err != nil {
		return j, err
	}
	if len(list) > 0 {
		j = list[0]
	}
	return j, nil
}

// Gone implements forge.Deliverer.
func (d *deliverer) Gone(ctx context.Context, project, branch, was string) {
	if patrickapi.CheckName("branch", branch) != nil {
		return
	}
	if err := d.hooks.send(ctx, project, branch, was, nowhere); err != nil {
		d.u.log.Info("nobody was told that a branch is gone: patricks see it within a minute", slog.String("project", project), slog.String("error", err.Error()))
	}
}
