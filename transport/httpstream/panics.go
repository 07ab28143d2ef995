package httpstream

import (
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
)

// Recovered is for a deferred function of a handler, with what recover has returned: so that a request which makes its handler panic ends, and not the node. tell
// is told what the handler has panicked with, and where; the client gets 500, or, where the answer has begun, a broken one. Nothing happens without a panic, and
// http.ErrAbortHandler goes on. It is for what a handler does on its own loop: what panics in a turn of its service ends the node, as nobody knows what it has
// left behind.
func Recovered(p any, w http.ResponseWriter, tell func(what string)) {
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	tell(fmt.Sprintf("%v\n\n%s", p, debug.Stack()))
	if of, is := w.(interface{ begun() bool }); !is || of.begun() {
		panic(http.ErrAbortHandler)
	}
	const says = "500 Internal Server Error: this request was not understood\n"
	clear(w.Header())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", fmt.Sprint(len(says)))
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, says)
}

func (w *response) begun() bool { return w.status != 0 || w.taken }

func (o *outside) begun() bool { return o.began }
