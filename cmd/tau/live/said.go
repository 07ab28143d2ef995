package live

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport"
)

// SaidRequest asks what a function has said on all substrates, after what is known of each.
type SaidRequest struct {
	Project  string            `json:"project"`
	Branch   string            `json:"branch,omitempty"`
	Function string            `json:"function"`
	Known    map[string]Cursor `json:"known,omitempty"` // by peer
}

// Cursor is a place in the log of one node.
type Cursor struct {
	Run   uint64 `json:"run"`
	After uint64 `json:"after"`
}

// SaidResponse has the lines in the order of the nodes' clocks. Silent are substrates that have not answered.
type SaidResponse struct {
	Lines  []SaidLine        `json:"lines"`
	Lost   uint64            `json:"lost"`
	Known  map[string]Cursor `json:"known"`
	Silent []string          `json:"silent"`
}

// SaidLine is a line of a function's log.
type SaidLine struct {
	At      time.Time `json:"at"`
	Node    string    `json:"node"`
	Request string    `json:"request"`
	Commit  string    `json:"commit"`
	Text    string    `json:"text"`
}

// saidTimeout bounds what one substrate may take to answer.
const saidTimeout = 3 * time.Second

// said asks all substrates what a function has said.
func (r *running) said(ctx context.Context, req SaidRequest) (resp SaidResponse, err error) {
	resp = SaidResponse{Lines: []SaidLine{}, Known: map[string]Cursor{}, Silent: []string{}}
	err = r.on(ctx, func(ctx context.Context, env node.Env) error {
		peers, _ := env.Wire.Directory().Lookup(substrateapi.Service)
		var why error
		answered := false
		for _, p := range peers {
			known := req.Known[p.String()]
			within, cancel := clock.WithTimeout(ctx, env.Loop, saidTimeout)
			page, err := substrateapi.Logs.Call(within, env.Wire, p, substrateapi.LogsRequest{
				Project: req.Project, Branch: req.Branch, Function: req.Function, Run: known.Run, After: known.After})
			cancel()
			if err != nil {
				why = err
				if kind := transport.KindOf(err); kind == transport.NotAllowed || ctx.Err() != nil {
					return err
				} else if kind != transport.NotFound {
					resp.Silent = append(resp.Silent, p.String())
				}
				continue
			}
			answered = true
			cursor := Cursor{page.Run, known.After}
			if known.Run != page.Run {
				cursor.After = 0
			}
			resp.Lost += page.Lost
			for _, l := range page.Lines {
				cursor.After = l.Seq
				resp.Lines = append(resp.Lines, SaidLine{time.Unix(0, l.At).UTC(), nameOf(env, p), l.Request, l.Commit, l.Text})
			}
			resp.Known[p.String()] = cursor
		}
		if !answered && why != nil {
			return why
		}
		if len(peers) == 0 {
			return transport.New(transport.NotFound, "logs", "no substrate is known, which would run functions")
		}
		return nil
	})
	slices.SortStableFunc(resp.Lines, func(a, b SaidLine) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	return resp, err
}

// nameOf is a member's name, or its peer.
func nameOf(env node.Env, p transport.Peer) string {
	if m := env.Members().Known(p); m != nil && m.Name != "" {
		return m.Name
	}
	return p.String()
}
