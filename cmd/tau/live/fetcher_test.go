package live

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/source"
	"github.com/taucloud/tau/project/tree"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// git runs git in a repository of its own and returns what it says.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return strings.TrimSpace(string(out))
}

func TestACommitIsFetched(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	dir, scratch := t.TempDir(), t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("tau.yaml", "name: p\n")
	write("a/b.txt", "b")
	write("a-c.txt", "c")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-qm", "one")
	one := git(t, dir, "rev-parse", "HEAD")
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-qm", "two")
	two := git(t, dir, "rev-parse", "HEAD")

	f := &fetcher{scratch: scratch}
	got, err := f.fetch(t.Context(), monkey.Source{URL: "file://" + dir, Commit: one, Branch: "main"})
	require.NoError(t, err)
	require.Equal(t, patrickapi.Tree{Files: []patrickapi.File{{Path: "a-c.txt", Data: []byte("c")}, {Path: "a/b.txt", Data: []byte("b")}, {Path: "tau.yaml", Data: []byte("name: p\n")}}}, got)

	_, err = f.fetch(t.Context(), monkey.Source{URL: "file://" + dir, Commit: two, Branch: "main"})
	require.True(t, monkey.IsUserError(err), "a link: %v", err)
	require.ErrorContains(t, err, "link")
	_, err = f.fetch(t.Context(), monkey.Source{URL: "file://" + dir, Commit: strings.Repeat("1", 40), Branch: "main"})
	require.Error(t, err)
	require.False(t, monkey.IsUserError(err), "the forge may not have it yet: %v", err)

	left, err := os.ReadDir(scratch)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestWhatIsWrongWithACommitIsFinal(t *testing.T) {
	for _, err := range []error{&tree.Problem{Text: "x"}, &source.Error{Kind: source.Bad}, &source.Error{Kind: source.TooLarge}} {
		require.True(t, monkey.IsUserError(permanent(err)), "%v", err)
	}
	for _, err := range []error{&source.Error{Kind: source.Denied}, &source.Error{Kind: source.Missing}, &source.Error{Kind: source.Failed}, os.ErrNotExist} {
		require.False(t, monkey.IsUserError(permanent(err)), "%v", err)
	}
}
