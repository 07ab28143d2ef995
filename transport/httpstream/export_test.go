package httpstream

import (
	"net/http"

	"github.com/taucloud/tau/transport"
)

// Server is what Serve registers.
func Server(h http.Handler) transport.StreamHandler { return server{h} }
