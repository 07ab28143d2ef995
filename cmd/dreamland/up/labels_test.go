package up

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/dreamland/forge"
)

// TestTwins: branches whose names differ only in what no domain name has get labels of their own, which are the same in any order.
func TestTwins(t *testing.T) {
	refs := func(names ...string) (list []forge.Ref) {
		for _, n := range names {
			list = append(list, forge.Ref{Name: n})
		}
		return list
	}
	require.Equal(t, map[string]string{"main": "main", "feature/one": "feature-one", "Next": "next"}, labels(refs("main", "feature/one", "Next")), "without a twin it is as one expects")
	all := labels(refs("main", "feature", "Feature", "FEATURE", "a/b", "a-b", "a_b", "Main", "ü", strings.Repeat("x", 80), strings.Repeat("x", 81)))
	require.Equal(t, all, labels(refs(strings.Repeat("x", 81), strings.Repeat("x", 80), "ü", "Main", "a_b", "a-b", "a/b", "FEATURE", "Feature", "feature", "main", "main")))
	require.Equal(t, "feature", all["feature"])
	require.Equal(t, "a-b", all["a-b"])
	seen := map[string]string{}
	for name, label := range all {
		require.Empty(t, seen[label], "%s and %s", name, seen[label])
		require.Regexp(t, `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`, label, name)
		seen[label] = name
	}
	require.NoError(t, fits("site", []string{"shop"}))
	require.ErrorContains(t, fits("Site", []string{"site"}), "project Site would answer at http://site.localhost, where project site does")
}

// TestAFolderNamesItsUniverse by its remote.
func TestAFolderNamesItsUniverse(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git on this machine")
	}
	dir := t.TempDir()
	require.Empty(t, universeOf(dir))
	_, err := git(dir, nil, "init", "-q")
	require.NoError(t, err)
	require.Empty(t, universeOf(dir))
	_, err = git(dir, nil, "remote", "add", remoteName, "http://127.0.0.1:7482/shop/site.git")
	require.NoError(t, err)
	for remote, want := range map[string]string{
		"http://127.0.0.1:7482/shop/site.git": "shop", "http://localhost:1/a/b.git": "a", "http://127.0.0.1:7482/site.git": "", "https://forge.example.com/shop/site.git": "",
		"git@forge.example.com:shop/site.git": "", "http://127.0.0.1:7482/a/b/c.git": "", "http://127.0.0.1:7482/../c.git": "",
	} {
		_, err := git(dir, nil, "remote", "set-url", remoteName, remote)
		require.NoError(t, err)
		require.Equal(t, want, universeOf(dir), remote)
	}
}

// TestRemovedAndMadeAgain: whoever takes a universe while another process removes it has one that stays.
func TestRemovedAndMadeAgain(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	p, err := placeOf("a")
	require.NoError(t, err)
	for range 200 {
		first, err := p.take()
		require.NoError(t, err)
		require.NoError(t, writeFile(p.token(), []byte("old")))
		removed := make(chan error)
		go func() {
			err := p.remove()
			first()
			removed <- err
		}()
		unlock, err := p.take()
		for ; err != nil; unlock, err = p.take() {
			require.ErrorIs(t, err, errRuns)
		}
		require.NoError(t, writeFile(p.token(), []byte("new")))
		require.NoError(t, <-removed)
		raw, err := os.ReadFile(p.token())
		require.NoError(t, err)
		require.Equal(t, "new", string(raw))
		require.True(t, p.taken(), "by its lock")
		unlock()
	}
}
