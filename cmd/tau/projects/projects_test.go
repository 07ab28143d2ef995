package projects

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/services/tns/tnsapi"
)

// TestVersionsTakeWhatFits: the bounds that a project is held against are those of the registry.
func TestVersionsTakeWhatFits(t *testing.T) {
	require.Equal(t, tnsapi.EntriesMax, project.EntriesMax)
	require.Equal(t, tnsapi.PathLenMax, project.PathLenMax)
	require.Equal(t, tnsapi.VersionLenMax, project.VersionLenMax)
}

// TestTemplates make projects that are valid, without a warning.
func TestTemplates(t *testing.T) {
	require.Equal(t, []string{"full", "hello", "js", "website"}, Templates())
	for _, template := range Templates() {
		dir := t.TempDir()
		_, err := write(dir, templateFiles(template, "my-project"))
		require.NoError(t, err)
		loaded, compiled, err := load([]string{dir})
		require.NoError(t, err)
		require.Empty(t, loaded.Warnings)
		require.Equal(t, "my-project", loaded.Name)
		require.NotEmpty(t, compiled.Claims)
		_, err = write(dir, templateFiles(template, "other"))
		require.ErrorContains(t, err, "is never overwritten")
	}
}

// TestTheSDKIsThere: a function that is made with it builds without a network.
func TestTheSDKIsThere(t *testing.T) {
	dir := t.TempDir()
	_, err := write(dir, templateFiles("full", "my-project"))
	require.NoError(t, err)
	list := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	list.Dir, list.Env = filepath.Join(dir, "functions", "greet"), append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOPROXY=off", "GOFLAGS=", "GOWORK=off")
	out, err := list.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "github.com/taucloud/tau/sdk\ngreet\n", string(out))
}

func TestNames(t *testing.T) {
	for name, valid := range map[string]bool{"a": true, "tea-shop2": true, "-a": false, "a-": false, "A": false, "2a": false, "a_b": false} {
		_, err := nameFor("x", name)
		require.Equal(t, valid, err == nil, name)
	}
	name, err := nameFor("some/Where", "")
	require.NoError(t, err)
	require.Equal(t, "where", name)
}
