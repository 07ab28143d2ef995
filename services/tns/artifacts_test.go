package tns

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"pgregory.net/rapid"
)

// Whatever is published in whatever order: the artifact of what is current, and
// those of the newest keep versions, are never let go; those of versions that
// are not among them any more are.
func TestArtifactsOfTheNewestAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keep, keepVersions := rapid.IntRange(1, 4).Draw(t, "keep"), rapid.IntRange(1, 6).Draw(t, "keep versions")
		r := newRegistry(t, keepVersions)
		r.keepArtifacts, r.hoarders = keep, func() bool { return true }
		kept := map[string]bool{} // jobs whose artifacts hoarders keep
		for i := range rapid.IntRange(1, 30).Draw(t, "publishes") {
			v := version(fmt.Sprint("job-", rapid.IntRange(0, 12).Draw(t, "job")), rapid.Uint64Range(1, 15).Draw(t, "order"), rapid.Uint64Range(1, 3).Draw(t, "attempt"))
			v.Artifact = "artifact of " + v.Job
			v = withEntries(v, nil)
			if _, duplicate, err := r.publish(v, nil); err != nil || duplicate {
				continue
			}
			list, err := r.chores()
			require.NoError(t, err)
			for _, c := range list {
				require.Equal(t, "artifact of "+c.job, c.root)
				kept[c.job] = c.kind == pinChore || kept[c.job] && c.kind != dropChore
			}
			for _, c := range list { // a withdrawal is for ever
				if c.kind == dropChore {
					kept[c.job] = false
				}
			}
			for _, c := range list {
				require.NoError(t, storage.Delete(r.store, c.key))
			}
			now, err := r.history("p", "b")
			require.NoError(t, err)
			require.NotEmpty(t, now)
			require.True(t, kept[v.Job] || !slices.ContainsFunc(now[:min(len(now), keep)], func(o tnsapi.Version) bool { return o.Job == v.Job }), "publish %d of %s: %v", i, v.Job, list)
			for job := range kept {
				if !slices.ContainsFunc(now, func(o tnsapi.Version) bool { return o.Job == job }) {
					require.False(t, kept[job], "%s is dropped, its artifact is not", job)
				}
			}
		}
	})
}

func TestWhichArtifactsAreLetGo(t *testing.T) {
	at := func(job string, order uint64, rollback uint32) tnsapi.Version {
		v := version(job, order, 1)
		v.Rollback, v.Artifact = rollback, "a"
		return v
	}
	jobs := func(list []tnsapi.Version) (out []string) {
		for _, v := range list {
			out = append(out, v.Job)
		}
		return out
	}
	before := []tnsapi.Version{at("one", 2, 0), at("two", 3, 0), at("three", 4, 0)}
	require.Equal(t, []string{"two"}, jobs(artifactsToLetGo(before, at("four", 5, 0), 2, 20)), "one went before")
	require.Equal(t, []string{"two", "one"}, jobs(artifactsToLetGo(before, at("four", 5, 0), 2, 3)), "what is dropped goes once more")
	require.Equal(t, []string{"two"}, jobs(artifactsToLetGo(before, at("rollback", 4, 1), 2, 20)), "a rollback is newer than what it replaces")
	require.Empty(t, artifactsToLetGo(before, at("late", 1, 0), 3, 20), "what is old moves nothing")
	again := at("three", 4, 0)
	again.Token.Attempt = 2
	require.Empty(t, artifactsToLetGo(before, again, 2, 20), "another outcome of a job that is needed")
	none := at("two", 3, 0)
	none.Artifact = ""
	require.Empty(t, artifactsToLetGo([]tnsapi.Version{none, before[2]}, at("four", 5, 0), 2, 20), "without an artifact there is nothing to let go")
}

func TestArtifactOwners(t *testing.T) {
	long := string(make([]byte, 256))
	require.LessOrEqual(t, len(tnsapi.ArtifactOwner(long)), 70)
	require.NotEqual(t, tnsapi.ArtifactOwner(long), tnsapi.ArtifactOwner(long[1:]+"x"))
	require.Equal(t, "job/j", tnsapi.ArtifactOwner("j"))
}

func TestAbsurdOrdersAreRefused(t *testing.T) {
	r := newRegistry(t, 3)
	for order, kind := range map[uint64]transport.Kind{tnsapi.OrderStepMax + 1: transport.Invalid, tnsapi.OrderMax + 1: transport.Invalid, tnsapi.OrderStepMax: 0} {
		_, _, err := r.publish(withEntries(version("j", order, 1), nil), nil)
		require.Equal(t, kind, transport.KindOf(err), order)
		r = newRegistry(t, 3)
	}
}
