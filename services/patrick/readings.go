package patrick

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"

	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/webhook"
)

// Whoever knows the name of a webhook, which is no secret, can send a body that never ends, before anything is proven. So what one webhook,
// one project and one address may take of what there is for all is bounded: those of others are read meanwhile.
const (
	// hooksMax bounds the webhooks that are taken at once, hooksOfHook those of one webhook, hooksOfProject those of one project, and
	// hooksOfAddress those that come from one address, which may be a proxy's.
	hooksMax, hooksOfHook, hooksOfProject, hooksOfAddress = 64, 4, 8, 32
	// hookFreeLen is how much of each body is read in any case, in bytes. The rest is of a budget of hookBytesMax, of which one project has
	// a quarter at most.
	hookFreeLen                            = 64 << 10
	hookBytesMax, hookBytesOfProject       = 8 * hookBytesEach, 2 * hookBytesEach
	hookBytesEach                    int64 = webhook.BodyLenMax + 1
)

// reading is a webhook that is being taken. The zero value holds nothing.
type reading struct {
	address, hook, project string
	begun, known           bool
	bytes                  int64
}

// readings are all of them.
type readings struct {
	count int
	bytes int64
	// by counts them by "address ", "hook " and "project " with the name, held are the bytes of a project. What is none is not in them.
	by   map[string]int
	held map[string]int64
}

func newReadings() readings { return readings{by: map[string]int{}, held: map[string]int64{}} }

// begin counts a webhook, if there is room.
func (s *readings) begin(r *reading) bool {
	if s.count >= hooksMax || r.address != "" && s.by["address "+r.address] >= hooksOfAddress {
		return false
	}
	s.count++
	s.by["address "+r.address]++
	r.begun = true
	return true
}

// of counts it for its webhook and its project, if these have room.
func (s *readings) of(r *reading, repository authapi.Repository) bool {
	if s.by["hook "+repository.Hook] >= hooksOfHook || s.by["project "+repository.Project] >= hooksOfProject {
		return false
	}
	r.hook, r.project, r.known = repository.Hook, repository.Project, true
	s.by["hook "+r.hook]++
	s.by["project "+r.project]++
	return true
}

// grow takes bytes out of the budget, if they are there.
func (s *readings) grow(r *reading, n int64) bool {
	if s.bytes+n > hookBytesMax || s.held[r.project]+n > hookBytesOfProject {
		return false
	}
	s.bytes += n
	s.held[r.project] += n
	r.bytes += n
	return true
}

// end gives back what a webhook holds.
func (s *readings) end(r *reading) {
	if !r.begun {
		return
	}
	s.count--
	s.less("address " + r.address)
	if r.known {
		s.less("hook " + r.hook)
		s.less("project " + r.project)
		s.bytes -= r.bytes
		if s.held[r.project] -= r.bytes; s.held[r.project] == 0 {
			delete(s.held, r.project)
		}
	}
	*r = reading{}
}

func (s *readings) less(key string) {
	if s.by[key]--; s.by[key] == 0 {
		delete(s.by, key)
	}
}

// addressOf is the host that a request comes from.
func addressOf(r *http.Request) string {
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return at.Addr().String()
	}
	return r.RemoteAddr
}

// readHook reads a body, up to one byte more than it may have. Memory is taken as it comes: at most four times what has come, and
// hookFreeLen.
func readHook(r *http.Request, in inside, at *reading) ([]byte, error) {
	var body bytes.Buffer
	for room := int64(hookFreeLen); ; room = min(4*room, hookBytesEach) {
		_, err := io.CopyN(&body, r.Body, room-int64(body.Len()))
		switch {
		case errors.Is(err, io.EOF):
			return body.Bytes(), nil
		case err != nil:
			return nil, &httpError{http.StatusBadRequest, "the body did not come whole"}
		case room == hookBytesEach: // one too many
			return body.Bytes(), nil
		}
		more := min(4*room, hookBytesEach) - room
		if err := in(r.Context(), func(_ context.Context, s *Service) error {
			if !s.looks.readings.grow(at, more) {
				return errBusy
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
}
