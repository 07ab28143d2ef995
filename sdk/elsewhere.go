//go:build !wasip1

package sdk

import "net/http"

// Self is what the function is, in the cloud. Elsewhere it is nothing.
func Self() Itself { return Itself{} }

// Transport sends requests. In the cloud it is http.DefaultTransport, elsewhere that is what it stands for.
type Transport struct{}

// RoundTrip implements http.RoundTripper.
func (Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return http.DefaultTransport.RoundTrip(r)
}

// Serve answers an event, of which there are none but in the cloud: test handlers with net/http/httptest.
func Serve(uint32, http.Handler) uint32 { panic("sdk: there are events in the cloud only") }
