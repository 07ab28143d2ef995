package substrate

import (
	"context"
	"net/http"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/project"
)

// Guests runs functions. It is used by tasks of many loops at once.
type Guests interface {
	clock.Shared
	// Serve answers a request with a function. It is called by a task of a loop of the request's own, at which it may park,
	// and returns when the response is whole; a panic with http.ErrAbortHandler gives it up.
	Serve(w http.ResponseWriter, r *http.Request, g Guest)
}

// Guest is a function that a request is for.
type Guest struct {
	Project, Commit string
	// Target is the path of its entry; Function is what that says.
	Target   string
	Function project.Function
	// Parameters are those of the path that was matched.
	Parameters map[string]string
	// Hash names the module; Module reads it, whole and verified. It may park.
	Hash   string
	Module func(ctx context.Context) ([]byte, error)
}
