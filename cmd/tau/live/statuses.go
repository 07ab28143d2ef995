package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/patrick"
)

// reportWithin bounds one report to a forge.
const reportWithin = 15 * time.Second

// Report implements patrick.Forge.
func (f *forge) Report(ctx context.Context, r patrick.Remote, s patrick.CommitStatus) (err error) {
	if f.outside != "" {
		s.Link = f.outside + patrick.PagePath(s.Job)
	}
	left := clock.Offload(ctx, f.env.Loop, func() {
		within, cancel := context.WithTimeout(context.Background(), reportWithin)
		defer cancel()
		var hr *http.Request
		if hr, err = statusRequest(within, r, s); hr == nil || err != nil {
			return
		}
		var resp *http.Response
		if resp, err = f.http.Do(hr); err != nil {
			var u *url.Error
			if errors.As(err, &u) {
				err = u.Err // without the address
			}
			return
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
		if resp.StatusCode/100 != 2 {
			err = fmt.Errorf("the forge answers %s", resp.Status)
		}
	})
	return errors.Join(left, err)
}

// statusRequest is what tells a forge of the status of a commit, nil if it has none.
func statusRequest(ctx context.Context, r patrick.Remote, s patrick.CommitStatus) (*http.Request, error) {
	host := hostOfRepository(r.URL)
	if host == "" || r.Token == "" {
		return nil, nil
	}
	const name = "tau"
	body := map[string]string{"state": s.State, "description": s.Text, "context": name}
	header, value := "Authorization", "Bearer "+r.Token
	at, link := "", "target_url"
	switch r.Kind {
	case "github":
		at = "https://" + host + "/api/v3/repos/" + r.Name + "/statuses/" + s.Commit
		if host == "github.com" {
			at = "https://api.github.com/repos/" + r.Name + "/statuses/" + s.Commit
		}
	case "gitlab":
		at = "https://" + host + "/api/v4/projects/" + url.PathEscape(r.Name) + "/statuses/" + s.Commit
		header, value = "PRIVATE-TOKEN", r.Token
		body = map[string]string{"state": strings.ReplaceAll(s.State, "failure", "failed"), "description": s.Text, "name": name}
	case "gitea":
		at = "https://" + host + "/api/v1/repos/" + r.Name + "/statuses/" + s.Commit
		value = "token " + r.Token
	case "bitbucket":
		at = "https://api.bitbucket.org/2.0/repositories/" + r.Name + "/commit/" + s.Commit + "/statuses/build"
		body = map[string]string{"key": name, "description": s.Text, "state": map[string]string{"pending": "INPROGRESS", "success": "SUCCESSFUL"}[s.State]}
		if body["state"] == "" {
			body["state"] = "FAILED"
		}
		link = "url"
	default:
		return nil, nil
	}
	if s.Link != "" {
		body[link] = s.Link
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(raw))
	if err != nil {
		return nil, errors.New("the name of the repository at its forge makes no address")
	}
	hr.Header.Set(header, value)
	hr.Header.Set("Content-Type", "application/json")
	return hr, nil
}

// hostOfRepository is the host in the address of a repository, "" if it is on this machine.
func hostOfRepository(address string) string {
	if !strings.Contains(address, "://") {
		_, rest, _ := strings.Cut(address, "@")
		host, _, _ := strings.Cut(rest, ":")
		return host
	}
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
