package versions

import (
	"context"
	"slices"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Remotes are what is seen of replicas of tns that run elsewhere: what they tell whoever asks for the history of a
// branch that somebody has pushed or published to.
func Remotes() []scenario.Remote {
	return []scenario.Remote{{Service: tnsapi.Service, Facts: []string{"push-sent", "publish-sent"}, Look: lookAtTNS}}
}

// farTNS is a replica as it was asked. It implements TNS, but for what only its store knows.
type farTNS struct {
	branches []tnsapi.BranchRequest
	history  map[tnsapi.BranchRequest][]tnsapi.Version
	keep     int
}

var _ TNS = (*farTNS)(nil)

func lookAtTNS(ctx context.Context, client node.Env, at scenario.Seen) (node.Service, error) {
	t := &farTNS{history: map[tnsapi.BranchRequest][]tnsapi.Version{}, keep: tns.DefaultSettings().KeepVersions}
	if set, is := at.Settings.(*tns.Settings); is {
		t.keep = set.KeepVersions
	}
	var branches []tnsapi.BranchRequest
	asked := map[tnsapi.BranchRequest]bool{}
	for _, f := range at.Facts {
		b := tnsapi.BranchRequest{Project: f.Text("project"), Branch: f.Text("branch")}
		if !asked[b] {
			asked[b] = true
			branches = append(branches, b)
		}
	}
	for some := range slices.Chunk(branches, asksAtOnce) {
		if err := clock.First(ctx, client.Loop, len(some), len(some), func(ctx context.Context, i int) error {
			resp, err := tnsapi.History.Call(ctx, client.Wire, at.Peer, some[i])
			if transport.KindOf(err) == transport.NotFound {
				return nil
			}
			if err == nil && len(resp.Versions) > 0 {
				t.history[some[i]] = resp.Versions
			}
			return err
		}); err != nil {
			return nil, err
		}
	}
	for _, b := range branches {
		if len(t.history[b]) > 0 {
			t.branches = append(t.branches, b)
		}
	}
	return t, nil
}

// asksAtOnce is how many branches a replica is asked for at once: one after the other, sixty take longer on a busy machine than
// anybody waits for what is to be seen.
const asksAtOnce = 16

// Start implements node.Service.
func (*farTNS) Start(context.Context) error { return nil }

// Stop implements node.Service.
func (*farTNS) Stop(context.Context) error { return nil }

// Replica implements TNS: nobody sees it.
func (*farTNS) Replica() storage.Replicated { return nil }

// KeepVersions implements TNS.
func (t *farTNS) KeepVersions() int { return t.keep }

// Branches implements TNS.
func (t *farTNS) Branches() ([]tnsapi.BranchRequest, error) { return t.branches, nil }

// Current implements TNS.
func (t *farTNS) Current(project, branch string) (v tnsapi.Version, err error) {
	list, err := t.History(project, branch)
	if err == nil && len(list) == 0 {
		err = transport.New(transport.NotFound, "current", "there is no version")
	}
	if err != nil {
		return v, err
	}
	return list[0], nil
}

// History implements TNS.
func (t *farTNS) History(project, branch string) ([]tnsapi.Version, error) {
	return t.history[tnsapi.BranchRequest{Project: project, Branch: branch}], nil
}

// Torn implements TNS: nobody sees what is stored.
func (*farTNS) Torn() ([]string, error) { return nil, nil }
