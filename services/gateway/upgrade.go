package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
)

// upgrade passes on what both sides say to each other after a substrate has changed the protocol, until one of them ends, or neither has said
// anything for the idle timeout. A window and a buffer are kept each way.
func (x *exchange) upgrade(response *http.Response, cancel context.CancelCauseFunc) (whole bool) {
	conn, rw, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.code = http.StatusNotImplemented
		return x.say(http.StatusNotImplemented, "this connection cannot change its protocol")
	}
	defer conn.Close()
	there, is := response.Body.(io.ReadWriteCloser)
	if !is {
		return false
	}
	head := x.w.Header().Clone()
	head.Set("Connection", "Upgrade")
	head.Set("Upgrade", x.r.Header.Get("Upgrade"))
	head.Set(gatewayapi.HeaderRequestID, x.id)
	fmt.Fprintf(rw, "HTTP/1.1 %d %s\r\n", response.StatusCode, http.StatusText(response.StatusCode))
	_ = head.Write(rw)
	_, _ = rw.WriteString("\r\n")
	if rw.Flush() != nil {
		return false
	}
	last, open, ended := x.here.Elapsed(), 2, func() {}
	end := func() {
		_ = there.Close()
		_ = conn.Close()
	}
	pass := func(to io.Writer, from io.Reader) {
		part := make([]byte, bufferLen)
		for {
			n, err := from.Read(part)
			if n > 0 {
				last = x.here.Elapsed()
				if _, err := to.Write(part[:n]); err != nil {
					break
				}
				last = x.here.Elapsed()
			}
			if err != nil {
				break
			}
		}
		open--
		end()
		ended()
	}
	x.here.Go("gateway upgraded", func(context.Context) { pass(there, rw) })
	x.here.Go("gateway upgraded", func(context.Context) { pass(conn, there) })
	for open > 0 {
		left := last + x.settings.IdleTimeout - x.here.Elapsed()
		if left <= 0 {
			cancel(context.DeadlineExceeded)
			end()
			left = time.Second
		}
		within, stop := clock.WithTimeout(context.WithoutCancel(x.r.Context()), x.here, left)
		err := x.here.Park(within, func(wake func()) { ended = wake })
		stop()
		if err != nil && x.r.Context().Err() != nil {
			end()
		}
	}
	return true
}
