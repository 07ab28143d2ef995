package projects

import (
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
	require.Equal(t, []string{"full", "hello", "website"}, Templates())
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

func TestNames(t *testing.T) {
	for name, valid := range map[string]bool{"a": true, "tea-shop2": true, "-a": false, "a-": false, "A": false, "2a": false, "a_b": false} {
		_, err := nameFor("x", name)
		require.Equal(t, valid, err == nil, name)
	}
	name, err := nameFor("some/Where", "")
	require.NoError(t, err)
	require.Equal(t, "where", name)
}
