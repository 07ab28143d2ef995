package dreamtest_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/dreamtest"
)

// story is a test of a project, as somebody would write it: it holds in both worlds.
func story(t *testing.T, u *dreamtest.Universe) {
	first := u.Push("testdata/site")
	r := u.Get("http://hello.localhost/")
	require.Equal(t, 200, r.Status)
	require.Equal(t, "<h1>Hello</h1>\n", r.Body)
	require.Equal(t, first.Commit, r.Version)

	u.Kill("substrate")
	u.Eventually(func() bool { return u.Get("http://hello.localhost/").Status == 200 })
	u.Kill("substrate-2")
	require.NotEqual(t, 200, u.Get("http://hello.localhost/").Status, "nobody is left who could answer")
	u.Start("substrate")
	u.Eventually(func() bool { return u.Get("http://hello.localhost/").Status == 200 })
	u.Partition([]string{"monkey", "seer"})
	u.Eventually(func() bool { return u.Get("http://hello.localhost/").Status == 200 })
	u.Heal()

	u.PushTo("testdata/site", "next")
	require.Equal(t, 200, u.Get("http://next.hello.localhost/").Status)
	bad := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bad, "tau.yaml"), []byte("name: hello\nwebsites: {site: {paths: [/]}}\n"), 0o600))
	p, err := u.TryPush(bad, "main")
	require.NoError(t, err)
	require.False(t, p.Published, "there are no files for the website")
	require.NotEmpty(t, p.Log)
	require.Equal(t, first.Commit, u.Get("http://hello.localhost/").Version, "the old version stays")
}

// seeds is how many seeds the story is told with: eight, or, for make rehearse, as DREAMTEST_SEEDS says.
func seeds(t *testing.T) uint64 {
	n, err := strconv.ParseUint(cmp.Or(os.Getenv("DREAMTEST_SEEDS"), "8"), 10, 32)
	require.NoError(t, err, "DREAMTEST_SEEDS")
	return n
}

// TestSimulated: the story holds whatever the seed.
func TestSimulated(t *testing.T) {
	for seed := range seeds(t) {
		t.Run(fmt.Sprint("seed ", seed+1), func(t *testing.T) { story(t, dreamtest.Simulated(t, seed+1)) })
	}
}

// TestASeedIsOneStory: the same calls with the same seed are the same run, with another one another.
func TestASeedIsOneStory(t *testing.T) {
	run := func(seed uint64) (digest string) {
		t.Run("run", func(t *testing.T) {
			u := dreamtest.Simulated(t, seed)
			u.Push("testdata/site")
			u.Kill("tns")
			u.Get("http://hello.localhost/")
			digest = u.Digest()
		})
		return digest
	}
	require.NotEmpty(t, run(5))
	require.Equal(t, run(5), run(5))
	require.NotEqual(t, run(5), run(6))
}

// TestUp: the story in a real cloud, or, with -sim.seed, in a simulated one.
func TestUp(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git on this machine")
	}
	story(t, dreamtest.Up(t))
}

func Example() {
	var t *testing.T // of a test
	u := dreamtest.Up(t)
	u.Push("./site")
	u.Kill("substrate")
	u.Eventually(func() bool { return u.Get("http://hello.localhost/").Status == 200 })
}
