package patrick

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// TestViewsOfJobs show all that people may know of one, under the names that their programs know.
func TestViewsOfJobs(t *testing.T) {
	j := patrickapi.Job{ID: "i", Project: "p", Repository: "r", Branch: "b", Commit: "c", Cancelling: true, Attempts: 2, Rebuilds: 3, Accepted: int64(1500 * time.Millisecond), Artifact: "a", Error: "e"}
	raw, err := json.Marshal(viewOf(j))
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(raw, &got))
	for name, want := range map[string]any{
		"id": "i", "project": "p", "repository": "r", "branch": "b", "commit": "c", "status": j.Status.String(), "cancelling": true, "attempts": 2.0, "rebuilds": 3.0,
		"accepted": "1970-01-01T00:00:01.5Z", "artifact": "a", "error": "e",
	} {
		require.Equal(t, want, got[name], name)
		delete(got, name)
	}
	require.Empty(t, got)
}

// TestANewerWishToTell of a job is not ended by an older one.
func TestANewerWishToTell(t *testing.T) {
	s := &Service{reports: map[string]*reporting{}}
	older, newer := &reporting{}, &reporting{}
	s.reports["i"] = newer
	s.toldOf("i", older)
	require.Same(t, newer, s.reports["i"])
	s.toldOf("i", newer)
	require.Empty(t, s.reports)
}
