package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/taucloud/tau/transport/httpstream"
)

// bufferLen is how much of a body is passed on at once, in bytes.
const bufferLen = httpstream.PartLen

// copy passes the body on, as it comes.
func (x *exchange) copy(response *http.Response, cancel context.CancelCauseFunc) (whole bool) {
	buffer := httpstream.TakePart()
	defer httpstream.GivePart(buffer)
	part := buffer[:]
	if response.ContentLength >= 0 {
		part = part[:min(bufferLen, response.ContentLength+1)]
	}
	// What is in the midst of an answer is not kept back.
	more := func() bool { return response.ContentLength < 0 || x.bytes < response.ContentLength }
	comes, _ := response.Body.(interface{ Ready() bool })
	ready := func() bool { return comes != nil && comes.Ready() }
	control := http.NewResponseController(x.w)
	for {
		// What is there of a body whose length is known is read without waiting: there are no marks between its parts that could be half there.
		n, err := x.fill(response.Body, part, ready, response.ContentLength >= 0 && ready(), cancel)
		if n > 0 {
			x.bytes += int64(n)
			if _, err := x.w.Write(part[:n]); err != nil {
				return false
			}
			if err == nil && more() && !ready() && control.Flush() != nil {
				return false
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return true
		case err != nil:
			return false
		}
	}
}

// fill waits for more of a body, for as long as it may say nothing, and takes what there is of it.
func (x *exchange) fill(from io.Reader, part []byte, ready func() bool, atOnce bool, cancel context.CancelCauseFunc) (n int, err error) {
	if !atOnce {
		timer := x.here.AfterFunc(x.settings.IdleTimeout, func() { cancel(context.DeadlineExceeded) })
		defer timer.Stop()
	}
	n, err = from.Read(part)
	for n < len(part) && err == nil && ready() {
		var more int
		more, err = from.Read(part[n:])
		n += more
	}
	return n, err
}
