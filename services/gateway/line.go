package gateway

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

const (
	// streamsMax is how many requests a gateway has at one substrate, and streamsOfHost how many of them are of one host: a peer serves no more
	// streams of another one than transport.HandlersPerPeerMax, and of these some are left to whatever else the two nodes say to each other.
	streamsMax, streamsOfHost = transport.HandlersPerPeerMax * 7 / 8, streamsMax * 7 / 8
	// lineInterval is how often somebody of each host tries again by himself, where nobody who has gone has called him; growAfter is for how
	// long nobody must have been refused before an answer calls one more: so as many come as there is room for, and few in vain.
	lineInterval, growAfter = 200 * time.Millisecond, 50 * time.Millisecond
)

// line is where requests wait, by host. Hosts take turns; of one host, who came first goes first. It is pure.
type line struct {
	hosts []string // that have somebody here, in the order of their turns
	queue map[string][]*waiter
}

// waiter is a request that waits.
type waiter struct {
	called bool
	wake   func() // nil: nobody is parked
}

// enter lets a request wait: at the end, or where it has been before, at the front.
func (l *line) enter(host string, w *waiter, again bool) {
	if l.queue == nil {
		l.queue = map[string][]*waiter{}
	}
	if len(l.queue[host]) == 0 {
		l.hosts = append(l.hosts, host)
	}
	if again {
		l.queue[host] = slices.Insert(l.queue[host], 0, w)
	} else {
		l.queue[host] = append(l.queue[host], w)
	}
}

// leave takes one out who waits no longer.
func (l *line) leave(host string, w *waiter) {
	if at := slices.Index(l.queue[host], w); at >= 0 {
		l.cut(host, at)
	}
}

func (l *line) cut(host string, at int) {
	l.queue[host] = slices.Delete(l.queue[host], at, at+1)
	if len(l.queue[host]) == 0 {
		delete(l.queue, host)
		l.hosts = slices.DeleteFunc(l.hosts, func(h string) bool { return h == host })
	}
}

// call lets the first one of a host try, if there is one.
func (l *line) call(host string) {
	if len(l.queue[host]) == 0 {
		return
	}
	w := l.queue[host][0]
	l.cut(host, 0)
	w.called = true
	if w.wake != nil {
		w.wake()
	}
}

// callNext lets somebody try, of the host whose turn it is.
func (l *line) callNext() {
	if len(l.hosts) == 0 {
		return
	}
	host := l.hosts[0]
	l.call(host)
	if at := slices.Index(l.hosts, host); at >= 0 {
		l.hosts = append(slices.Delete(l.hosts, at, at+1), host)
	}
}

// lines are the two kinds of waiting: for one of the streams to a substrate, and, after all that were asked have said that they are busy, for room at
// one of them.
type lines struct {
	streams, room line
	refused       map[string]time.Duration // when a host's request was told so last, while some of its wait
	prods         bool                     // prod will look
}

// await lets a request wait until it may try again, for at most so long. An error: it has waited long enough, or its client is gone.
func (s *Service) await(ctx context.Context, l *line, host string, again bool, limit time.Duration) error {
	w := &waiter{}
	l.enter(host, w, again)
	defer l.leave(host, w)
	s.prodSoon()
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, limit)
	defer cancel()
	for !w.called {
		if err := s.env.Loop.Park(ctx, func(wake func()) { w.wake = wake }); err != nil {
			if w.called {
				l.call(host) // another one, in its place
			}
			return err
		}
	}
	return nil
}

// prodSoon sees to it that nobody waits for a call that does not come: those who would make it may be gone.
func (s *Service) prodSoon() {
	if s.lines.prods {
		return
	}
	s.lines.prods = true
	s.env.Loop.AfterFunc(lineInterval, func() {
		s.lines.prods = false
		for _, host := range slices.Clone(s.lines.room.hosts) {
			s.lines.room.call(host)
		}
		for _, host := range slices.Clone(s.lines.streams.hosts) {
			s.lines.streams.call(host)
		}
		if len(s.lines.room.hosts) > 0 || len(s.lines.streams.hosts) > 0 {
			s.prodSoon()
		} else {
			clear(s.lines.refused)
		}
	})
}

// noRoom notes that all substrates that were asked for a host were busy.
func (s *Service) noRoom(host string) {
	if s.lines.refused == nil {
		s.lines.refused = map[string]time.Duration{}
	}
	s.lines.refused[host] = s.env.Loop.Elapsed()
}

// grows lets one more of a host try, after an answer, if all who tried of late were answered.
func (s *Service) grows(host string) {
	if at, is := s.lines.refused[host]; is && s.env.Loop.Elapsed()-at >= growAfter {
		s.lines.room.call(host)
	}
}

// waits lets a request wait which all who could be asked have refused, one of them because it is busy, or of which this gateway has as many there as it may.
// reports whether it may be tried again, at whomever.
func (x *exchange) waits(full bool, until time.Duration) (again bool) {
	switch {
	case full:
		again = x.wait(false, until)
	case x.busy:
		again = x.wait(true, until)
	}
	if again {
		x.tried, x.busy = nil, false
	}
	return again
}

// wait lets a request wait for room at a substrate, or for a stream to one: reports whether it may be tried again.
func (x *exchange) wait(room bool, until time.Duration) (again bool) {
	limit := min(x.began+x.settings.QueueTimeout, until) - x.here.Elapsed()
	err := context.DeadlineExceeded
	if left := x.service.Do(x.r.Context(), x.here, func(ctx context.Context, s **Service) {
		at := &(*s).lines.streams
		if room {
			at = &(*s).lines.room
			(*s).noRoom(x.host)
		}
		if limit > 0 {
			err = (*s).await(ctx, at, x.host, x.waited, limit)
		}
	}); left != nil || x.r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	x.waited = true
	return err == nil
}
