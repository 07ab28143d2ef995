package gateway

import (
	"fmt"
	"net/http"
	"time"
)

// bucketsMax bounds the hosts whose rates are counted apart; further ones share one.
const bucketsMax = 4096

// bucket is how many requests of a host may come at once.
type bucket struct {
	tokens float64
	at     time.Duration
}

// take takes a token, of which there are at most twice the rate.
func (b *bucket) take(now time.Duration, rate int) bool {
	b.tokens = min(2*float64(rate), b.tokens+(now-b.at).Seconds()*float64(rate))
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// ticket is what a request is let in with, or why it is not.
type ticket struct {
	status   int // 0: it is let in
	says     string
	id       string
	settings Settings
}

// admit lets a request in, if there is room.
func (s *Service) admit(host, id string) ticket {
	t := ticket{id: id, settings: s.settings}
	if t.id == "" {
		t.id = fmt.Sprintf("%016x%016x", s.env.Rand.Uint64(), s.env.Rand.Uint64())
	}
	switch {
	case s.draining:
		t.status, t.says = http.StatusServiceUnavailable, "this gateway is ending"
	case s.inFlight >= s.settings.RequestsMax:
		t.status, t.says = http.StatusServiceUnavailable, "this gateway has as many requests as it serves"
	case !s.mayCome(host):
		t.status, t.says = http.StatusTooManyRequests, "too many requests for this host"
	default:
		s.inFlight++
	}
	return t
}

func (s *Service) mayCome(host string) bool {
	if s.settings.HostRate == 0 {
		return true
	}
	now := s.env.Loop.Elapsed()
	b := s.buckets[host]
	if b == nil && len(s.buckets) >= bucketsMax {
		for name, old := range s.buckets { // those that are full again say nothing
			if now-old.at >= 2*time.Second {
				delete(s.buckets, name)
			}
		}
		if len(s.buckets) >= bucketsMax {
			host = ""
			b = s.buckets[host]
		}
	}
	if b == nil {
		b = &bucket{tokens: 2 * float64(s.settings.HostRate), at: now}
		s.buckets[host] = b
	}
	return b.take(now, s.settings.HostRate)
}
