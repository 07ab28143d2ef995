package live

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick"
)

// TestStatusesAtForges: where and how each forge is told.
func TestStatusesAtForges(t *testing.T) {
	s := patrick.CommitStatus{Commit: "c1", State: "failure", Text: "it failed", Link: "https://tau.example.com/v1/jobs/j"}
	for kind, want := range map[string]struct{ url, header, value, body string }{
		"github":    {"https://api.github.com/repos/acme/site/statuses/c1", "Authorization", "Bearer t", `{"context":"tau","description":"it failed","state":"failure","target_url":"https://tau.example.com/v1/jobs/j"}`},
		"gitlab":    {"https://github.com/api/v4/projects/acme%2Fsite/statuses/c1", "PRIVATE-TOKEN", "t", `{"description":"it failed","name":"tau","state":"failed","target_url":"https://tau.example.com/v1/jobs/j"}`},
		"gitea":     {"https://github.com/api/v1/repos/acme/site/statuses/c1", "Authorization", "token t", `{"context":"tau","description":"it failed","state":"failure","target_url":"https://tau.example.com/v1/jobs/j"}`},
		"bitbucket": {"https://api.bitbucket.org/2.0/repositories/acme/site/commit/c1/statuses/build", "Authorization", "Bearer t", `{"description":"it failed","key":"tau","state":"FAILED","url":"https://tau.example.com/v1/jobs/j"}`},
	} {
		r, err := statusRequest(context.Background(), patrick.Remote{URL: "git@github.com:acme/site.git", Kind: kind, Name: "acme/site", Token: "t"}, s)
		require.NoError(t, err)
		require.Equal(t, want.url, r.URL.String())
		require.Equal(t, want.value, r.Header.Get(want.header))
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.JSONEq(t, want.body, string(body))
	}
	for _, r := range []patrick.Remote{
		{URL: "file:///srv/site", Kind: "github", Name: "srv/site", Token: "t"},
		{URL: "https://github.com/acme/site", Kind: "github", Name: "acme/site"},
		{URL: "https://git.example.com/acme/site", Kind: "generic", Name: "acme/site", Token: "t"},
	} {
		hr, err := statusRequest(context.Background(), r, s)
		require.NoError(t, err)
		require.Nil(t, hr)
	}
}

// TestAStatusLeadsToTheJob: to its page, where people reach the front door, or nowhere.
func TestAStatusLeadsToTheJob(t *testing.T) {
	loop := clock.NewLive()
	defer loop.Stop(time.Second)
	for outside, want := range map[string]string{"": `{"context":"tau","description":"it failed","state":"failure"}`, "https://ci.example.com/tau/": `{"context":"tau","description":"it failed","state":"failure","target_url":"https://ci.example.com/tau/jobs/j1"}`} {
		f := forgeOf(node.Env{Loop: loop}, outside, t.TempDir())
		told := ""
		f.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			raw, err := io.ReadAll(r.Body)
			told = string(raw)
			return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody}, err
		})
		var err error
		require.NoError(t, clock.Do(t.Context(), loop, func(ctx context.Context) {
			err = f.Report(ctx, patrick.Remote{URL: "https://git.example.com/acme/site", Kind: "gitea", Name: "acme/site", Token: "t"}, patrick.CommitStatus{Commit: "c1", State: "failure", Text: "it failed", Job: "j1"})
		}))
		require.NoError(t, err)
		require.JSONEq(t, want, told)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
