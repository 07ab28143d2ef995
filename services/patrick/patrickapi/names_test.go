package patrickapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

func TestNames(t *testing.T) {
	for _, good := range []string{"site", "a/b", "feature/ünïcode", "v1.2-3_4", "...", "a b", strings.Repeat("x", 256)} {
		require.NoError(t, patrickapi.CheckName("branch", good), good)
	}
	for _, bad := range []string{"", "../x", "x/..", "a/./b", "/a", "a/", "a//b", " a", "a ", "a\x1b[31m", "a\nb", "a\x00", `a\b`, "\xff", strings.Repeat("x", 257), "a\u202eb"} {
		err := patrickapi.CheckName("branch", bad)
		require.Equal(t, transport.Invalid, transport.KindOf(err), "%q", bad)
		require.NotContains(t, err.Error(), "\x1b")
	}
	require.NoError(t, patrickapi.CheckProject("site"))
	require.Error(t, patrickapi.CheckProject("a/b"))
	require.Error(t, patrickapi.CheckProject(".."))
}
