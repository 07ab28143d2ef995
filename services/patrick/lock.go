package patrick

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// grantTimeout bounds the wait for a second copy of a grant.
const grantTimeout = 2 * time.Second

// claim grants an open job to a monkey. The grant is durable, here and on another patrick if one
// answers, before the monkey is told of it.
func (s *Service) claim(ctx context.Context, _ transport.Peer, req patrickapi.ClaimRequest) (patrickapi.Grant, error) {
	var none patrickapi.Grant
	j, err := s.claimable(req)
	if err != nil {
		return none, err
	}
	token := fencing.Token{Attempt: j.state.nextAttempt(), Holder: req.Holder}
	if j.state.Live { // the same holder asks again
		claimedTwice.Hit()
		token = j.state.Top.Token
		j.lease = s.env.Loop.Elapsed() + s.settings.Lease
	} else if err := s.grant(j, token, req.Incarnation); err != nil {
		return none, err
	}
	if err := afterGrant.Hit(ctx, s.env); err != nil {
		return none, err
	}
	if _, err := s.replicate(ctx, grantTimeout); err != nil {
		return none, fault("patrick/claim", "make the grant durable", err)
	}
	if !j.heldBy(token) || s.board.active[req.Job] != j {
		return none, transport.New(transport.Conflict, "patrick/claim", "lost while it became durable")
	}
	return patrickapi.Grant{Job: j.state.job(j.id), Token: token, Lease: s.settings.Lease, BuildMax: s.settings.BuildMax}, nil
}

// claimable finds the job if the claimant may have it now.
func (s *Service) claimable(req patrickapi.ClaimRequest) (*active, error) {
	j, err := s.find("patrick/claim", req.Job)
	if err != nil {
		return nil, err
	}
	s.supersede(j)
	why := ""
	switch held := j.state.Top; {
	case s.board.active[req.Job] != j:
		why = "it is over"
	case j.state.Live && held.Token.Holder == req.Holder && held.Incarnation == req.Incarnation:
	case j.state.Live:
		why = "somebody else has it"
	case s.verdict(j.id, j.state).close != patrickapi.Unknown:
		why = "it is about to be closed"
	case s.env.Loop.Elapsed() < j.notBefore:
		why = "it waits before the next attempt"
	case s.lacksTree(j):
		why = "its tree is not here yet"
	}
	if why != "" {
		return nil, transport.New(transport.Conflict, "patrick/claim", why)
	}
	return j, nil
}

func (s *Service) grant(j *active, token fencing.Token, incarnation uint64) error {
	if err := s.addRecords(j.id, grant{Token: token, Incarnation: incarnation, By: s.env.Self}); err != nil {
		return err
	}
	j.mine = true
	s.env.Observe("job-granted", node.F("job", j.id), node.F("attempt", token.Attempt), node.F("holder", token.Holder))
	return nil
}

// renew extends a lease. Conflict tells the holder to stop.
func (s *Service) renew(_ context.Context, _ transport.Peer, req patrickapi.RenewRequest) (patrickapi.RenewResponse, error) {
	var none patrickapi.RenewResponse
	j, err := s.find("patrick/renew", req.Job)
	if err != nil {
		return none, err
	}
	s.supersede(j)
	now := s.env.Loop.Elapsed()
	switch {
	case req.Token.Compare(j.state.Top.Token) > 0:
		// A grant by another coordinator may still be on its way here.
		grantNotHereYet.Hit()
		return none, transport.New(transport.NotFound, "patrick/renew", "no such grant here yet")
	case !j.heldBy(req.Token):
		return none, transport.New(transport.Conflict, "patrick/renew", "the grant has ended")
	case j.state.Cancel != nil:
		return none, transport.New(transport.Conflict, "patrick/renew", j.state.Cancel.Reason)
	case now >= j.buildMax:
		return none, transport.New(transport.Conflict, "patrick/renew", "the attempt takes too long")
	}
	if !j.mine { // this patrick has become the coordinator: it measures the lease from now on
		renewedByAnother.Hit()
		j.mine = true
	}
	j.lease = now + s.settings.Lease
	s.arm(j)
	s.env.Observe("job-renewed", node.F("job", j.id), node.F("attempt", req.Token.Attempt), node.F("holder", req.Token.Holder))
	return none, nil
}

// finish records how an attempt ended. The answer to a repetition is the same.
func (s *Service) finish(ctx context.Context, _ transport.Peer, req patrickapi.FinishRequest) (patrickapi.FinishResponse, error) {
	if s.Forgot(req.Job) {
		return patrickapi.FinishResponse{}, transport.New(transport.Conflict, "patrick/finish", "the job has ended and is forgotten")
	}
	records := s.records(req.Job)
	state := resolve(records)
	if !wasGranted(records, req.Token) { // it may be on its way here, or there is none
		return patrickapi.FinishResponse{}, transport.New(transport.NotFound, "patrick/finish", "no such grant here yet")
	}
	if err := acceptable(state, req); err != nil {
		return patrickapi.FinishResponse{}, err
	}
	repeated := answers(state, req)
	finishedTwice.HitIf(repeated)
	if !repeated {
		if err := s.addRecords(req.Job, s.resultOf(req)); err != nil {
			return patrickapi.FinishResponse{}, err
		}
		s.env.Observe("job-released", node.F("job", req.Job), node.F("attempt", req.Token.Attempt), node.F("holder", req.Token.Holder),
			node.F("success", req.Success), node.F("abandoned", req.Abandoned))
		s.offerNow(req.Job)
	}
	if _, err := s.replicate(ctx, grantTimeout); err != nil {
		return patrickapi.FinishResponse{}, fault("patrick/finish", "make the result durable", err)
	}
	logs := s.keepLog(ctx, req)
	return patrickapi.FinishResponse{Status: s.Job(req.Job).Status, LogCopies: logs}, nil
}

// granted tells tns whether a job was granted under a token, and is what is to be published.
func (s *Service) granted(_ context.Context, _ transport.Peer, req patrickapi.GrantedRequest) (patrickapi.GrantedResponse, error) {
	var yes patrickapi.GrantedResponse
	if s.Forgot(req.Job) {
		return yes, transport.New(transport.Conflict, patrickapi.Granted.Name, "the job has ended and is forgotten")
	}
	records := s.records(req.Job)
	job := resolve(records).Spec
	is := job.Project == req.Project && job.Branch == req.Branch &&
		(req.Commit == "" || req.Commit == job.Commit) && (req.Order == 0 || req.Order == job.Order)
	if !is || !wasGranted(records, req.Token) {
		return yes, transport.New(transport.NotFound, patrickapi.Granted.Name, "no such grant here")
	}
	return yes, nil
}

// held says whether a job is locked under a token right now, by all that its coordinator knows.
func (s *Service) held(_ context.Context, _ transport.Peer, req patrickapi.HeldRequest) (patrickapi.HeldResponse, error) {
	j := s.board.active[req.Job]
	if j == nil || !j.heldBy(req.Token) || j.state.Cancel != nil || s.env.Loop.Elapsed() >= j.lease {
		return patrickapi.HeldResponse{}, transport.New(transport.Conflict, patrickapi.Held.Name, "the job is not locked under this token")
	}
	spec := j.state.Spec
	return patrickapi.HeldResponse{Project: spec.Project, Repository: spec.Repository, Branch: spec.Branch, Commit: spec.Commit, Forge: spec.Forge}, nil
}

// wasGranted reports whether a job was granted under a token, live or ended.
func wasGranted(records []record, t fencing.Token) bool {
	return slices.ContainsFunc(records, func(r record) bool {
		g, is := r.(grant)
		return is && g.Token == t
	})
}

// acceptable decides whether a report counts. A success that tns has published always counts; any
// other report counts only from the holder of the last grant, and a failure only while the grant is
// live.
func acceptable(state State, req patrickapi.FinishRequest) error {
	const op = "patrick/finish"
	published := req.Success && req.Published
	switch {
	case state.Status == patrickapi.Unknown, req.Token.Compare(state.Top.Token) > 0:
		return transport.New(transport.NotFound, op, "no such grant here yet")
	case answers(state, req):
		return nil
	case published:
		lateSuccess.HitIf(state.Status.Final() || req.Token != state.Top.Token || !state.Live)
		return nil
	case state.Status.Final():
		return transport.New(transport.Conflict, op, "the job is "+state.Status.String())
	case req.Token != state.Top.Token:
		staleReport.Hit()
		return transport.New(transport.Conflict, op, "a newer attempt was granted")
	case !state.Live && !req.Success:
		staleReport.Hit()
		return transport.New(transport.Conflict, op, "the grant has ended")
	}
	return nil
}

// answers reports whether a report repeats the one that decided the job already.
func answers(state State, req patrickapi.FinishRequest) bool {
	return state.Outcome.Token == req.Token && state.Outcome.Success == req.Success
}

func (s *Service) resultOf(req patrickapi.FinishRequest) record {
	if req.Abandoned && !req.Success {
		return loss{Token: req.Token, Reason: "abandoned", By: s.env.Self}
	}
	return result{
		Token: req.Token, Success: req.Success, Published: req.Published, Permanent: req.Permanent,
		Artifact: bounded(req.Artifact), Log: bounded(req.Log), Error: bounded(req.Error),
	}
}

func bounded(text string) string { return text[:min(len(text), patrickapi.TextLenMax)] }

// cancel ends a job without an outcome. When it is acknowledged as cancelled, nothing of it is
// published any more, as far as tns can be reached; its holder learns of it at the next renewal. A
// rebuild that has begun since is not cancelled.
func (s *Service) cancel(ctx context.Context, _ transport.Peer, req patrickapi.CancelRequest) (patrickapi.CancelResponse, error) {
	var none patrickapi.CancelResponse
	state := s.read(req.Job)
	switch {
	case state.Status == patrickapi.Unknown, req.Rebuild > state.Rebuilds:
		return none, transport.New(transport.NotFound, "patrick/cancel", "no such job here")
	case req.Rebuild == state.Rebuilds && !state.Status.Final() && state.Cancel == nil:
		if err := s.addRecords(req.Job, cancel{Rebuild: state.Rebuilds, Cause: "request", Reason: "cancelled on request", By: s.env.Self}); err != nil {
			return none, err
		}
	}
	if j := s.board.active[req.Job]; j != nil && j.state.Live && j.state.Cancel != nil {
		cancelledWhileBuilt.Hit()
		if err := s.halt(ctx, j); err != nil {
			return none, fault("patrick/cancel", "stop its holder", err)
		}
	}
	if _, err := s.replicate(ctx, replicateTimeout); err != nil {
		return none, fault("patrick/cancel", "make it durable", err)
	}
	return patrickapi.CancelResponse{Status: s.statusOf(req.Job, req.Rebuild), Rebuild: req.Rebuild}, nil
}

// statusOf is the status of one rebuild of a job, also if a later one has begun since.
func (s *Service) statusOf(id string, n int) patrickapi.Status {
	return resolve(slices.DeleteFunc(s.records(id), func(r record) bool {
		begun, is := r.(rebuild)
		return is && begun.N > n
	})).Status
}

// find returns an active job.
func (s *Service) find(op, id string) (*active, error) {
	if j := s.board.active[id]; j != nil {
		return j, nil
	}
	if line, known := s.board.briefs[id]; known {
		return nil, transport.New(transport.Conflict, op, "the job is "+line.status.String())
	}
	if s.Forgot(id) {
		return nil, transport.New(transport.Conflict, op, "the job has ended and is forgotten")
	}
	return nil, transport.New(transport.NotFound, op, "no such job here")
}

// isPatrick reports whether a peer may pass on what others ask.
func (s *Service) isPatrick(p transport.Peer) bool {
	grants, known := s.env.Wire.Grants(p)
	return known && grants.Offers(patrickapi.Service)
}

func (j *active) heldBy(token fencing.Token) bool { return j.state.Live && j.state.Top.Token == token }
