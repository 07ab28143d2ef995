package web

import (
	"io"
	"net/http/httptest"
	"testing"

	"github.com/taucloud/tau/wasm/engine"
	"github.com/taucloud/tau/wasm/sdk/sdktest"
)

// TestHostileParameters: each function about events is called with pointers to where there is no memory, and lengths beyond it.
func TestHostileParameters(t *testing.T) {
	values := []uint64{0, 1, 16, 65_535, 131_071, 131_072, 0x7fffffff, 0xfffffff0, 0xffffffff, 0xffffffff_00000010}
	var events []engine.Host
	for _, h := range Events() {
		if h.Module != "env" {
			events = append(events, h)
		}
	}
	sdktest.Hostile(t, values, engine.Options{}, func() any {
		r := httptest.NewRequest("POST", "http://example.com/path?name=me", nil)
		r.Header.Set("X-Field", "value")
		return &event{request: r, log: io.Discard, input: []byte("body"), inputEnd: io.EOF, on: &coroutine{yield: func(wish) bool { return true }}}
	}, events...)
}
