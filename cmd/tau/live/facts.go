package live

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/transport"
)

const (
	// FactsMax is how many facts a node keeps for who asks: the newest. factsPageMax bounds one answer,
	// factsWaitMax how long it waits for the first one.
	FactsMax     = 1 << 14
	factsPageMax = 4096
	factsWaitMax = 10 * time.Second
	// factTextMax bounds a text of a fact, in bytes.
	factTextMax = 1024
)

// Fact is what a service reported at the moment it became true.
type Fact struct {
	// Seq numbers the facts of one run of a node, from 1.
	Seq uint64 `json:"seq"`
	// At is the node's wall clock, Since the time since the process began, by its monotonic one, in nanoseconds.
	At      time.Time     `json:"at"`
	Since   time.Duration `json:"since"`
	Service string        `json:"service"`
	Fact    string        `json:"fact"`
	Fields  []FactField   `json:"fields,omitempty"`
}

// FactField is a [node.Field] that keeps its kind in JSON: {"name": ..., "kind": "text", "number", "bool",
// "duration" (in nanoseconds) or "peer", "value": ...}. Each number is an int64 again.
type FactField node.Field

type factFieldJSON struct {
	Name  string          `json:"name"`
	Kind  string          `json:"kind"`
	Value json.RawMessage `json:"value"`
}

// MarshalJSON implements json.Marshaler.
func (f FactField) MarshalJSON() ([]byte, error) {
	kind, value := "number", f.Value
	switch v := f.Value.(type) {
	case string:
		kind, value = "text", v[:min(len(v), factTextMax)]
	case bool:
		kind = "bool"
	case time.Duration:
		kind = "duration"
	case transport.Peer:
		kind = "peer"
	case int, int64, uint64:
	default:
		kind, value = "text", fmt.Sprint(v)
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return json.Marshal(factFieldJSON{f.Name, kind, raw})
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *FactField) UnmarshalJSON(raw []byte) error {
	var in factFieldJSON
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	f.Name = in.Name
	switch in.Kind {
	case "bool":
		return decodeAs[bool](in.Value, &f.Value)
	case "duration":
		return decodeAs[time.Duration](in.Value, &f.Value)
	case "peer":
		return decodeAs[transport.Peer](in.Value, &f.Value)
	case "number":
		if decodeAs[int64](in.Value, &f.Value) == nil {
			return nil
		}
		return decodeAs[uint64](in.Value, &f.Value)
	}
	return decodeAs[string](in.Value, &f.Value)
}

func decodeAs[T any](raw json.RawMessage, into *any) error {
	var v T
	err := json.Unmarshal(raw, &v)
	*into = v
	return err
}

// FactsRequest asks for the facts after one that is known, of the same run: at most Limit (0 and more than
// 4096: 4096). If there are none yet the answer comes when there are, within Wait (at most 10 s).
type FactsRequest struct {
	Run   uint64        `json:"run,omitempty"`
	After uint64        `json:"after,omitempty"`
	Limit int           `json:"limit,omitempty"`
	Wait  time.Duration `json:"wait,omitempty"`
}

// FactsResponse has them in order. Of another run than the one that was asked for it has those from the first.
type FactsResponse struct {
	// Run is drawn at random by each process.
	Run uint64 `json:"run"`
	// Next is the After of the next request.
	Next uint64 `json:"next"`
	// Lost is how many after After are kept no more: a node keeps the newest 16384.
	Lost  uint64 `json:"lost"`
	Facts []Fact `json:"facts"`
}

// facts are the newest facts of a node, in a ring.
type facts struct {
	run   uint64
	began time.Time

	mu    sync.Mutex
	ring  []reported         // the fact with number n is at n % FactsMax
	last  uint64             // the number of the newest, 0: there is none
	news  chan struct{}      // closed when there is more; nil: nobody waits for it
	count map[factKey]uint64 // how often each was reported
}

type factKey struct{ service, fact string }

// reported is a fact as it was reported.
type reported struct {
	at            time.Time
	service, fact string
	fields        []node.Field
}

// fact is what is said of one.
func (l *facts) fact(number uint64) Fact {
	r := l.ring[number%FactsMax]
	f := Fact{Seq: number, At: r.at, Since: r.at.Sub(l.began), Service: r.service, Fact: r.fact, Fields: make([]FactField, len(r.fields))}
	for i, field := range r.fields {
		f.Fields[i] = FactField(field)
	}
	return f
}

func newFacts(began time.Time) *facts {
	return &facts{run: rand.Uint64N(1 << 53), began: began, count: map[factKey]uint64{}} // as JSON numbers go
}

// add keeps a fact, and its fields. It is called within turns, so it never waits for who reads.
func (l *facts) add(service, fact string, fields []node.Field) {
	f := reported{time.Now(), service, fact, fields}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	if at := int(l.last % FactsMax); at < len(l.ring) {
		l.ring[at] = f
	} else {
		l.ring = append(l.ring, make([]reported, at-len(l.ring))...)
		l.ring = append(l.ring, f)
	}
	l.count[factKey{service, fact}]++
	if l.news != nil {
		close(l.news)
		l.news = nil
	}
}

// page is what is known now, and what is closed when there is more.
func (l *facts) page(req FactsRequest) (resp FactsResponse, news chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	after := req.After
	if req.Run != l.run && req.Run != 0 || after > l.last {
		after = 0
	}
	limit := req.Limit
	if limit <= 0 || limit > factsPageMax {
		limit = factsPageMax
	}
	resp = FactsResponse{Run: l.run, Facts: []Fact{}}
	if l.last > FactsMax && after < l.last-FactsMax {
		resp.Lost = l.last - FactsMax - after
		after = l.last - FactsMax
	}
	for after < l.last && len(resp.Facts) < limit {
		after++
		resp.Facts = append(resp.Facts, l.fact(after))
	}
	resp.Next = after
	if l.news == nil {
		l.news = make(chan struct{})
	}
	return resp, l.news
}

// counts is how often each fact was reported since the process began.
func (l *facts) counts() map[factKey]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[factKey]uint64, len(l.count))
	for k, n := range l.count {
		out[k] = n
	}
	return out
}

// facts answers with the facts after a cursor, and waits for some if there are none.
func (r *running) facts(ctx context.Context, req FactsRequest) (FactsResponse, error) {
	timer := time.NewTimer(min(max(req.Wait, 0), factsWaitMax))
	defer timer.Stop()
	for {
		resp, news := r.cfg.Log.facts.page(req)
		if len(resp.Facts) > 0 {
			return resp, nil
		}
		select {
		case <-news:
		case <-timer.C:
			return resp, nil
		case <-ctx.Done():
			return resp, nil
		}
	}
}
