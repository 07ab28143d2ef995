package httpstream

import (
	"io"
	"net/http"

	"github.com/taucloud/tau/transport"
)

// Server is what Serve registers.
func Server(h http.Handler) transport.StreamHandler { return server{h} }

// RefusalOf is the status with which a server refuses a request, 0 if it does not.
func RefusalOf(request io.Reader) int {
	head := &headReader{from: request, left: HeadLenMax}
	if _, err := http.ReadRequest(newReader(head)); err != nil {
		return refusal(err, head)
	}
	return 0
}
