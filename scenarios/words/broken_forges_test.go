package words

import (
	"context"
	"encoding/base64"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/forge"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/storage/memdisk"
)

// knownJobs is a patrick that knows of some jobs.
type knownJobs map[string]patrickapi.Job

func (knownJobs) Start(context.Context) error    { return nil }
func (knownJobs) Stop(context.Context) error     { return nil }
func (k knownJobs) Job(id string) patrickapi.Job { return k[id] }
func (k knownJobs) JobIDs() (ids []string) {
	for id := range k {
		ids = append(ids, id)
	}
	return ids
}

func jobsOf(commits ...string) knownJobs {
	known := knownJobs{}
	for i, c := range commits {
		id := patrickapi.JobID("site", "main", c, patrickapi.Event{ID: c, Order: uint64(i + 1)})
		known[id] = patrickapi.Job{ID: id, Repository: "site", Branch: "main", Commit: c, Status: patrickapi.Success}
	}
	return known
}

// TestBrokenForges feeds what a forge has and what became of it.
func TestBrokenForges(t *testing.T) {
	told := check.Fact{Name: "repository-told", Fields: []node.Field{node.F("repository", "site"), node.F("branches", "main b-*")}}
	running := jobsOf("a")
	for id, j := range running {
		j.Status = patrickapi.Locked
		running[id] = j
	}
	moved := func(branch, commit string) check.Fact {
		return check.Fact{Name: "forge-moved", Fields: []node.Field{node.F("repository", "site"), node.F("branch", branch), node.F("commit", commit)}}
	}
	for _, c := range []struct {
		checker string
		facts   []check.Fact
		jobs    knownJobs
		want    string
	}{
		{"forges-are-followed", []check.Fact{told, moved("main", "a"), moved("main", "b")}, jobsOf("a", "b"), ""},
		{"forges-are-followed", []check.Fact{told, moved("main", "a"), moved("main", "b")}, jobsOf("b", "a"), "the newest job of main of site is of commit \"a\", the forge has \"b\""},
		{"forges-are-followed", []check.Fact{told, moved("main", "a")}, nil, "is of commit \"\", the forge has \"a\""},
		{"forges-are-followed", []check.Fact{told, moved("main", "a"), moved("main", "")}, jobsOf("a"), patrickapi.NoCommit},
		{"forges-are-followed", []check.Fact{told, moved("other", "a")}, nil, ""},
		{"forges-are-followed", []check.Fact{told, moved("main", "a")}, running, "has not ended"},
	} {
		checker := checkerCalled(t, c.checker)
		for _, f := range c.facts {
			require.NoError(t, checker.(check.OnFact).Fact(f))
		}
		jobs := c.jobs
		if jobs == nil {
			jobs = knownJobs{}
		}
		err := checker.(check.OnSettled).Settled(&fakeWorld{nodes: []check.NodeView{{
			Name: "core-1", Up: true, ShouldBeUp: true, Services: []string{"patrick"}, Service: func(string) node.Service { return jobs },
		}}})
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.want)
	}
	tried := func(status, want int) check.Fact {
		return check.Fact{Name: "webhook-tried", Fields: []node.Field{node.F("repository", "site"), node.F("status", status), node.F("want", want)}}
	}
	answers := checkerCalled(t, "webhooks-are-answered").(check.OnFact)
	require.NoError(t, answers.Fact(tried(401, 401)))
	require.ErrorContains(t, answers.Fact(tried(202, 401)), "answered with 202 instead of 401")
}

// TestBrokenSecrets plants canaries.
func TestBrokenSecrets(t *testing.T) {
	const secret = "CANARY0123456789"
	in64 := base64.StdEncoding.EncodeToString([]byte("ab" + secret))
	for _, c := range []struct {
		value, service string
		bad            bool
	}{
		{"sealed", "auth", false}, {"x" + secret, "patrick", true}, {in64, "monkey", true}, {secret, forge.Service, false},
	} {
		checker := checkerCalled(t, "secrets-stay-secret")
		require.NoError(t, checker.(check.OnFact).Fact(check.Fact{Name: "repository-told"}))
		disk := memdisk.New()
		require.NoError(t, disk.Put(context.Background(), datastore.NewKey("/k"), []byte(c.value)))
		require.NoError(t, disk.FlushUpTo(disk.Writes()))
		err := checker.(check.OnSettled).Settled(&fakeWorld{nodes: []check.NodeView{{Name: "n-1", Services: []string{c.service}, Disk: disk}}})
		require.Equal(t, c.bad, err != nil, c.value)
	}
	checker := checkerCalled(t, "secrets-stay-secret").(check.OnFact)
	require.ErrorContains(t, checker.Fact(check.Fact{Name: "hook-accepted", Node: "core-1", Fields: []node.Field{node.F("error", "got "+secret)}}), "holds a secret in error")
}
