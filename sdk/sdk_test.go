package sdk_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/sdk"
)

// A handler is registered in init, and tested as any other is.
func ExampleHandleFunc() {
	sdk.HandleFunc("GET /hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %s.", r.PathValue("name"))
	})

	w := httptest.NewRecorder()
	sdk.Mux.ServeHTTP(w, httptest.NewRequest("GET", "/hello/you", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 200 Hello, you.
}

// TestSecret: one that there is not says what to do.
func TestSecret(t *testing.T) {
	t.Setenv("STRIPE_KEY", "secret")
	v, err := sdk.Secret("STRIPE_KEY")
	require.NoError(t, err)
	require.Equal(t, "secret", v)
	_, err = sdk.Secret("OTHER_KEY")
	require.ErrorContains(t, err, "tau auth secret put function PROJECT OTHER_KEY")
}

// TestElsewhere: handlers that send requests can be tried without a cloud.
func TestElsewhere(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
	require.NoError(t, err)
	response, err := sdk.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, response.Body.Close()) })
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "hello", string(body))
	require.Zero(t, sdk.Self())
}

// TestSources: what projects keep is the whole package, without tests.
func TestSources(t *testing.T) {
	sources := sdk.Sources()
	require.Contains(t, sources, "serve_wasip1.go")
	require.NotContains(t, sources, "sdk_test.go")
	require.NotContains(t, sources, "sources.go")
}
