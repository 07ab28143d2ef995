package substrate

import (
	"container/list"
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport"
)

// usages are what functions have used. Of more than substrateapi.UsagesMax, those that were asked for longest ago are forgotten. It is pure.
type usages struct {
	by    map[string]*list.Element
	order list.List // of *usage; the first was asked for last
}

type usage struct {
	name string
	substrateapi.Usage
}

// of is a function's, which was asked for now.
func (u *usages) of(name string, t *target) *substrateapi.Usage {
	if u.by == nil {
		u.by = map[string]*list.Element{}
	}
	e := u.by[name]
	if e == nil {
		v := t.release.version
		e = u.order.PushFront(&usage{name, substrateapi.Usage{Project: v.Project, Branch: v.Branch, Function: t.path, Took: make([]uint64, len(substrateapi.TookBounds)+1)}})
		u.by[name] = e
	}
	u.order.MoveToFront(e)
	for u.order.Len() > substrateapi.UsagesMax {
		oldest := u.order.Remove(u.order.Back()).(*usage)
		delete(u.by, oldest.name)
	}
	return &e.Value.(*usage).Usage
}

// refused notes a request that found no place.
func (u *usages) refused(name string, t *target) { u.of(name, t).Refused++ }

// add notes what became of a request.
func (u *usages) add(name string, t *target, ran Ran, took time.Duration, now int64) {
	one := u.of(name, t)
	one.Commit, one.LimitMemory, one.At = t.release.version.Commit, uint64(t.function.Memory), now
	one.Requests++
	if ran.Ended != Answered && ran.Ended != Gone || ran.Status >= 500 {
		one.Errors++
	}
	if ran.Cold {
		one.Cold++
	}
	one.Fuel += ran.Fuel
	one.FuelMax = max(one.FuelMax, ran.Fuel)
	one.MemoryMax = max(one.MemoryMax, ran.Memory)
	one.TookAll += took
	at, _ := slices.BinarySearch(substrateapi.TookBounds, took)
	one.Took[at]++
}

// Answered is how a request ends that was answered, Gone how one ends whose client has gone, which is no error.
const (
	Answered = "answered"
	Gone     = "client-gone"
)

// usage answers with what functions have used here.
func (s *Service) usage(_ context.Context, _ transport.Peer, req substrateapi.UsageRequest) (resp substrateapi.UsageResponse, err error) {
	if req.Branch == "" && req.Project != "" {
		req.Branch = s.settings.Branch
	}
	resp.Run = s.env.Incarnation
	for e := s.usages.order.Front(); e != nil; e = e.Next() {
		one := e.Value.(*usage)
		if req.Project != "" && (one.Project != req.Project || one.Branch != req.Branch) {
			continue
		}
		out := one.Usage
		out.Took = slices.Clone(out.Took)
		out.InFlight, out.Waiting = s.places.of(one.name), s.places.waits(one.name)
		resp.Functions = append(resp.Functions, out)
	}
	slices.SortFunc(resp.Functions, substrateapi.Usage.Compare)
	return resp, nil
}
