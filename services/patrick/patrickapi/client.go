package patrickapi

import (
	"context"
	"time"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/ask"
)

// Timeouts of large content are longer by its time on a slow link, see transport.TransferTime.
const (
	// PushTimeout bounds a push at one patrick: it waits for two disks. PushTime is
	// that of a large tree.
	PushTimeout = 15 * time.Second
	// rebuildTimeout bounds a rebuild at one patrick: it may fetch the tree, and
	// passes it on.
	rebuildTimeout = 15 * time.Second
	// finishTimeout bounds a report at one patrick: it fetches the log, and passes it
	// on.
	finishTimeout = 12 * time.Second
	// logsTimeout bounds the wait for a log from one patrick: it may have to fetch it, and a later
	// request continues the fetch.
	logsTimeout = 8 * time.Second
	// callTimeout bounds any other request at one patrick.
	callTimeout = 5 * time.Second
	// avoidFor is how long a patrick that did not answer is asked last.
	avoidFor = 5 * time.Second
)

// PushTime bounds a push of so many bytes at one patrick: they cross a link to it, another one to
// the coordinator, and a third one to the patrick with the second copy.
func PushTime(bytes int64) time.Duration { return PushTimeout + 3*transport.TransferTime(bytes) }

// Client asks patricks, the coordinator of what is asked for first and then the others
// in the order of rank, until one answers. Make one per service.
type Client struct {
	asker *ask.Asker
	// witnesses asks the same patricks, and takes no single one's word that there is nothing.
	witnesses *ask.Asker
}

// NewClient returns a client that calls through ep.
func NewClient(ep *transport.Endpoint) *Client {
	return &Client{asker: ask.New(ep, policy), witnesses: ask.New(ep, witnessPolicy)}
}

// policy: an answer about a job comes from its coordinator, since other patricks pass the request
// on.
var policy = ask.Policy{
	Service:  Service,
	Final:    []transport.Kind{transport.NotFound, transport.Conflict, transport.Invalid},
	AvoidFor: avoidFor,
}

// witnessPolicy: a patrick that does not know of a grant may not have heard of it yet.
var witnessPolicy = ask.Policy{Service: Service, Final: []transport.Kind{transport.Conflict}}

// NewEvent makes the event of a new push; id is 1 to NameLenMax bytes that no other push of the
// branch has. seen is the greatest order of the branch that the caller knows of, 0 if none: it
// keeps two events of one caller in order when the patrick that knew of the first is gone. Keep the
// event: a delivery with another one is another push.
func (c *Client) NewEvent(ctx context.Context, project, repository, branch, id string, seen uint64) (Event, error) {
	resp, err := ask.Call(ctx, c.asker, NewEvent, BranchID(repository, branch), callTimeout, EventRequest{
		Project: project, Repository: repository, Branch: branch, Seen: seen,
	})
	return Event{ID: id, Order: resp.Order}, err
}

// Push delivers a push. nil means that the job is durable, or has ended. After any error the event
// may be delivered again: it stays one job. Conflict: it is older than all that is remembered of
// the branch, see README.
func (c *Client) Push(ctx context.Context, req PushRequest) (PushResponse, error) {
	return ask.Call(ctx, c.asker, Push, BranchID(req.Repository, req.Branch), PushTime(int64(len(req.Tree))), req)
}

// Claim asks for a job's lock. Conflict means that another monkey has it, or that it cannot be
// claimed now.
func (c *Client) Claim(ctx context.Context, req ClaimRequest) (Grant, error) {
	return ask.Call(ctx, c.asker, Claim, BranchOf(req.Job), callTimeout, req)
}

// Renew extends the lease. Conflict means that it is lost for good.
func (c *Client) Renew(ctx context.Context, req RenewRequest) (RenewResponse, error) {
	return ask.Call(ctx, c.asker, Renew, BranchOf(req.Job), callTimeout, req)
}

// Finish reports the end of an attempt. It is idempotent. Conflict means that
// the attempt does not count.
func (c *Client) Finish(ctx context.Context, req FinishRequest) (FinishResponse, error) {
	return ask.Call(ctx, c.asker, Finish, BranchOf(req.Job), finishTimeout+2*transport.TransferTime(min(req.LogSize, LogLenMax)), req)
}

// grantedTimeout bounds the question to one patrick.
const grantedTimeout = 1500 * time.Millisecond

// Granted asks patricks, the best-ranked for the branch first, until one knows of a grant. nil: it was
// granted, and what is to be published is what was pushed. NotFound: all patricks have answered and
// none knows of it. Conflict: the job has ended and is forgotten. Unreachable: none of those that
// answered knows of it, and others do not answer.
func (c *Client) Granted(ctx context.Context, req GrantedRequest) error {
	denied, silent := error(nil), false
	err := c.witnesses.Put(ctx, Granted.Name, BranchOf(req.Job), grantedTimeout, func(ctx context.Context, peer transport.Peer) error {
		_, err := Granted.Call(ctx, c.witnesses.Endpoint(), peer, req)
		switch transport.KindOf(err) {
		case transport.NotFound:
			denied = err
		case 0:
		default:
			silent = true
		}
		return err
	})
	switch {
	case err == nil, transport.KindOf(err) == transport.Conflict, transport.KindOf(err) == transport.Stopped:
		return err
	case denied != nil && !silent:
		return denied
	}
	return transport.New(transport.Unreachable, Granted.Name, err.Error())
}

// Held asks the coordinator of a job whether it is locked under a token right now. Conflict: it is not.
func (c *Client) Held(ctx context.Context, req HeldRequest) (HeldResponse, error) {
	return ask.Call(ctx, c.asker, Held, BranchOf(req.Job), callTimeout, req)
}

// Open lists open jobs, as key's coordinator knows them; key spreads the callers.
func (c *Client) Open(ctx context.Context, key string, req OpenRequest) (Announcement, error) {
	return ask.Call(ctx, c.asker, OpenJobs, key, callTimeout, req)
}

// Job returns what is known of a job.
func (c *Client) Job(ctx context.Context, job string) (Job, error) {
	return ask.Call(ctx, c.asker, GetJob, BranchOf(job), callTimeout, JobRequest{Job: job})
}

// List returns a page of jobs, newest first.
func (c *Client) List(ctx context.Context, req ListRequest) (ListResponse, error) {
	return ask.Call(ctx, c.asker, List, req.Project, callTimeout, req)
}

// Cancel asks to end a job without an outcome. It cancels the current rebuild of the job only: a
// late or repeated request does not cancel a later rebuild.
func (c *Client) Cancel(ctx context.Context, job string) (CancelResponse, error) {
	now, err := c.Job(ctx, job)
	if err != nil {
		return CancelResponse{}, err
	}
	return ask.Call(ctx, c.asker, Cancel, BranchOf(job), callTimeout, CancelRequest{Job: job, Rebuild: now.Rebuilds})
}

// Rebuild begins a job anew that has failed or was cancelled. It keeps its order: what was pushed
// later stays newer. Conflict: it has succeeded, or has not ended. Refused: its tree is gone. It
// asks for the rebuild after the current one: late or repeated requests cause no further rebuild.
func (c *Client) Rebuild(ctx context.Context, job string) (RebuildResponse, error) {
	now, err := c.Job(ctx, job)
	if err != nil {
		return RebuildResponse{}, err
	}
	n := now.Rebuilds
	if now.Status.Final() {
		n++
	}
	return ask.Call(ctx, c.asker, Rebuild, BranchOf(job), rebuildTimeout+2*transport.TransferTime(min(now.TreeSize, TreeLenMax)), RebuildRequest{Job: job, N: n})
}

// Logs returns the log of a job as far as it is known. NotFound: there is none yet, or none was
// kept. Unreachable: the patricks that keep it do not answer.
func (c *Client) Logs(ctx context.Context, job string) (LogsResponse, error) {
	ctx = transport.Patient(ctx, logsTimeout)
	return ask.Call(ctx, c.asker, Logs, BranchOf(job), logsTimeout+2*transport.TransferTime(LogLenMax), JobRequest{Job: job})
}

// SendLog streams log lines to the coordinator, best effort.
func (c *Client) SendLog(note LogNote) {
	if peers := c.asker.Order(BranchOf(note.Job)); len(peers) > 0 {
		_ = Log.Tell(c.asker.Endpoint(), peers[0], note) // the whole log is stored as a block
	}
}
