package tns

import (
	"fmt"
	"slices"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// known is what the decision about a fence or a publish depends on.
type known struct {
	fences   []fencing.Token  // of the job
	versions []tnsapi.Version // of the branch, in any order
	keep     int
}

// highest is the highest token of the job that was fenced or has published.
func (k known) highest(job string) (t fencing.Token) {
	for _, f := range k.fences {
		t = maxToken(t, f)
	}
	for _, v := range k.versions {
		if v.Job == job {
			t = maxToken(t, v.Token)
		}
	}
	return t
}

func maxToken(a, b fencing.Token) fencing.Token {
	if a.Compare(b) < 0 {
		return b
	}
	return a
}

// fence decides about a fence: it is a Conflict if a higher token is known.
func (k known) fence(job string, t fencing.Token) error {
	if high := k.highest(job); t.Compare(high) < 0 {
		staleToken.Hit()
		return transport.New(transport.Conflict, tnsapi.Service, fmt.Sprintf("token %s is stale: %s is known", t, high))
	}
	return nil
}

// publish decides about a publish: whether it has been done already, or a Conflict. An absurd order is
// Invalid. A version so old that it would be dropped again at once is a Conflict too, since the fences
// of dropped versions were deleted with them.
func (k known) publish(v tnsapi.Version) (duplicate *tnsapi.Version, err error) {
	if err := k.fence(v.Job, v.Token); err != nil {
		return nil, err
	}
	highest := uint64(0)
	for _, old := range k.versions {
		if old.Job == v.Job && old.Token == v.Token {
			publishedTwice.Hit()
			return &old, nil
		}
		highest = max(highest, old.Order)
	}
	if v.Order > highest+tnsapi.OrderStepMax || v.Order > tnsapi.OrderMax {
		return nil, transport.New(transport.Invalid, tnsapi.Service, fmt.Sprintf("order %d is absurd: the branch is at %d", v.Order, highest))
	}
	if slices.ContainsFunc(surplus(append(slices.Clip(k.versions), v), k.keep), func(old tnsapi.Version) bool {
		return versionID(old) == versionID(v)
	}) {
		movedOn.Hit()
		return nil, transport.New(transport.Conflict, tnsapi.Service, fmt.Sprintf("the branch has moved on by %d versions", k.keep))
	}
	return nil, nil
}
