package patrick

import (
	"context"
	"testing"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/patrick/refs"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

func FuzzRequests(f *testing.F) {
	nodetest.FuzzService(f, []string{"testdata/golden/v1.txt", "patrickapi/testdata/golden/v1.txt"}, func(_ *nodetest.Cloud) []node.Configured {
		return []node.Configured{{Spec: Spec(Ends{})}}
	})
}

func FuzzEntries(f *testing.F) {
	job := patrickapi.JobID("p", "b", "c", patrickapi.Event{ID: "e", Order: 1})
	nodetest.FuzzEntries(f, []string{"testdata/golden/v1.txt", "patrickapi/testdata/golden/v1.txt"}, []storage.Key{
		storage.K("jobs", job, "spec", "x"),
		storage.K("jobs", job, "grant", "0000000001", "x"),
		storage.K("jobs", job, "loss", "0000000001", "x"),
		storage.K("jobs", job, "result", "0000000001", "x"),
		storage.K("jobs", job, "rebuild", nth(1), "x"),
		storage.K("jobs", job, "cancel", nth(1), "user"),
		storage.K("jobs", job, "closing", nth(1), "failed", "x"),
		storage.K("past", "b", job),
		storage.K("delivery", "r", "x"),
		storage.K("look", "r", "x"),
		storage.K("ref", "r", "refs/heads/main", "x"),
		statusKey(job),
		storage.K("jobs"), storage.K("past"), storage.K("delivery"), storage.K("look"), storage.K("ref"), storage.K("status"), storage.K("x"),
	}, "main", func(*nodetest.Cloud) node.Spec { return Spec(Ends{Forge: func(node.Env) Forge { return deafForge{} }}) })
}

// deafForge answers nobody.
type deafForge struct{}

func (deafForge) Refs(context.Context, Remote) ([]refs.Seen, error) {
	return nil, transport.New(transport.Unreachable, "refs", "it is deaf")
}

func (deafForge) Report(context.Context, Remote, CommitStatus) error { return nil }
