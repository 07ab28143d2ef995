package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A client's fields do not become those of which the gateway says something.
func TestFieldsWithUnderscoresAreNoVariables(t *testing.T) {
	q, err := http.NewRequest(http.MethodGet, "http://shop.example.com/", http.NoBody)
	require.NoError(t, err)
	q.Header = http.Header{"X-Forwarded-For": {"192.0.2.1"}, "X_forwarded_for": {"6.6.6.6"}, "X-Forwarded_for": {"6.6.6.6"}}
	env := strings.Join(variables(q, 0, Exchange{}, nil), "\n")
	require.Contains(t, env, "\nHTTP_X_FORWARDED_FOR=192.0.2.1")
	require.NotContains(t, env, "6.6.6.6")
}
