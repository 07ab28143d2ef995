package live

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth"
	"github.com/taucloud/tau/wasm/outbound"
)

// TestLook: a page is taken as it is, up to its bound, nothing is followed, and a network of one's own is not looked at.
func TestLook(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/tau-domain", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("tau-domain=x")) })
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.Repeat("x", 2*auth.LookLenMax)))
	})
	mux.Handle("/moved", http.RedirectHandler("/long", http.StatusFound))
	s := httptest.NewServer(mux)
	defer s.Close()
	loop := clock.NewLive()
	defer loop.Stop(time.Second)
	var allowed error
	here := newLookOf(node.Env{Loop: loop}, func(netip.Addr) error { return allowed })
	page := func(l *look, path string) (string, error) {
		var got []byte
		var err error
		require.NoError(t, clock.Do(t.Context(), loop, func(ctx context.Context) { got, err = l.Page(ctx, s.URL+path) }))
		return string(got), err
	}
	got, err := page(here, "/.well-known/tau-domain")
	require.NoError(t, err)
	require.Equal(t, "tau-domain=x", got)
	got, err = page(here, "/long")
	require.NoError(t, err)
	require.Len(t, got, auth.LookLenMax)
	_, err = page(here, "/moved")
	require.EqualError(t, err, "it answers 302 Found")
	_, err = page(newLookOf(node.Env{Loop: loop}, outbound.Public), "/long")
	require.ErrorContains(t, err, "is not a public address")
	for address, outside := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true, "127.0.0.1": false, "10.1.2.3": false, "192.168.0.1": false, "172.16.0.1": false, "169.254.169.254": false, "100.64.0.1": false, "::1": false, "fe80::1": false, "fd00::1": false, "0.0.0.0": false,
	} {
		require.Equal(t, outside, outbound.Public(netip.MustParseAddr(address)) == nil, address)
	}
}
