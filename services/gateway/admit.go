package gateway

import (
	"encoding/binary"
	"encoding/hex"
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
	// knocks: a substrate has to be asked first whether anybody serves the host.
	knocks bool
	// reads: its body has not come yet; address is where from.
	reads   bool
	address string
}

// room counts the requests that are served, by host, and those of which the body has not come whole, by host and by address. Whoever
// sends slowly, or asks for one host only, takes a share, whatever the host is.
type room struct {
	all, reading               int
	ofHost, readHost, readFrom map[string]int
}

func newRoom() room {
	return room{ofHost: map[string]int{}, readHost: map[string]int{}, readFrom: map[string]int{}}
}

// full says what there is no more room for, "" if there is room. One host has half of all requests; half of them may wait for their
// bodies, an eighth of one host, a quarter from one address.
func (r *room) full(host, address string, reads bool, most int) string {
	part := func(of int) int { return max(1, most/of) }
	switch {
	case r.all >= most:
		return "this gateway has as many requests as it serves"
	case r.ofHost[host] >= part(2):
		return "this gateway has as many requests for this host as it serves"
	case reads && (r.reading >= part(2) || r.readHost[host] >= part(8) || r.readFrom[address] >= part(4)):
		return "this gateway waits for the bodies of as many requests as it does"
	}
	return ""
}

func (r *room) enter(host, address string, reads bool) {
	r.all++
	r.ofHost[host]++
	if reads {
		r.reading++
		r.readHost[host]++
		r.readFrom[address]++
	}
}

// read says that a body has come, or never will.
func (r *room) read(host, address string) {
	r.reading--
	less(r.readHost, host)
	less(r.readFrom, address)
}

func (r *room) leave(host string) {
	r.all--
	less(r.ofHost, host)
}

func less(m map[string]int, key string) {
	if m[key]--; m[key] == 0 {
		delete(m, key)
	}
}

const (
	// knocksMax bounds the questions at once whether anybody serves a host.
	knocksMax = 256
	// servedFor is how long a substrate's word counts that a host is served, servedMax of how many that is remembered.
	servedFor, servedMax = time.Minute, 4096
)

// admit lets a request in, if there is room. One with a body for a host of which nothing is known is let in when a substrate has said
// that somebody serves the host; until then it takes no room.
func (s *Service) admit(t ticket, host string) ticket {
	t.settings, t.knocks = s.settings, false
	if t.id == "" {
		t.id = named(s.env.Rand.Uint64(), s.env.Rand.Uint64())
	}
	knocks := t.reads && host != "" && !s.isServed(host)
	full := s.room.full(host, t.address, t.reads, s.settings.RequestsMax)
	switch {
	case s.draining:
		t.status, t.says = http.StatusServiceUnavailable, "this gateway is ending"
	case full != "":
		t.status, t.says = http.StatusServiceUnavailable, full
	case knocks && s.knocking >= knocksMax:
		t.status, t.says = http.StatusServiceUnavailable, "this gateway asks for as many hosts as it does"
	case knocks:
		t.knocks = true
		s.knocking++
	case !s.mayCome(host):
		t.status, t.says = http.StatusTooManyRequests, "too many requests for this host"
	default:
		s.room.enter(host, t.address, t.reads)
	}
	return t
}

// named is the name of a request, of two numbers that were drawn.
func named(a, b uint64) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], a)
	binary.BigEndian.PutUint64(raw[8:], b)
	var text [32]byte
	hex.Encode(text[:], raw[:])
	return string(text[:])
}

func (s *Service) isServed(host string) bool {
	until, is := s.served[host]
	return is && s.env.Loop.Elapsed() < until
}

// believeServed remembers for a while that somebody serves a host.
func (s *Service) believeServed(host string) {
	now := s.env.Loop.Elapsed()
	if len(s.served) >= servedMax {
		for name, until := range s.served {
			if now >= until {
				delete(s.served, name)
			}
		}
	}
	if len(s.served) >= servedMax {
		clear(s.served) // those that are asked for are learned again
	}
	s.served[host] = now + servedFor
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
