package live

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

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
