package live

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage/blocks"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// auditTimeout bounds the reading of a whole disk.
const auditTimeout = time.Hour

// LogRequest asks for the log of a job.
type LogRequest struct {
	Job string `json:"job"`
}

// LogResponse is the log as far as it is known. Full: it is all of the last attempt; otherwise the end of what a running
// one has said so far. Final: the job has ended.
type LogResponse struct {
	Lines  []string `json:"lines"`
	Full   bool     `json:"full"`
	Status string   `json:"status"`
	Final  bool     `json:"final"`
}

func (r *running) log(ctx context.Context, req LogRequest) (resp LogResponse, err error) {
	resp.Lines = []string{}
	err = r.on(ctx, func(ctx context.Context, env node.Env) error {
		client := patrickapi.NewClient(env.Wire)
		job, err := client.Job(ctx, req.Job)
		if err != nil {
			return err
		}
		resp.Status, resp.Final = job.Status.String(), job.Status.Final()
		log, err := client.Logs(ctx, req.Job)
		if transport.KindOf(err) == transport.NotFound {
			return nil
		}
		resp.Full = log.Full
		resp.Lines = append(resp.Lines, log.Lines...)
		return err
	})
	return resp, err
}

// BranchRequest names a branch of a project; Commit is what it is to go back to.
type BranchRequest struct {
	Project string `json:"project"`
	Branch  string `json:"branch"`
	Commit  string `json:"commit,omitempty"`
}

// Version is what was published of a branch.
type Version struct {
	Project  string `json:"project"`
	Branch   string `json:"branch"`
	Commit   string `json:"commit"`
	Job      string `json:"job"`
	Order    uint64 `json:"order"`
	Rollback uint32 `json:"rollback,omitempty"`
	Artifact string `json:"artifact"`
	Entries  int    `json:"entries"`
	Live     bool   `json:"live"`
}

func versionOf(v tnsapi.Version, live bool) Version {
	return Version{v.Project, v.Branch, v.Commit, v.Job, v.Order, v.Rollback, v.Artifact, v.Count, live}
}

// versions are those that are kept of a branch, the live one first.
func (r *running) versions(ctx context.Context, req BranchRequest) (list []Version, err error) {
	list = []Version{}
	err = r.on(ctx, func(ctx context.Context, env node.Env) error {
		found, err := tnsapi.NewClient(env.Wire).History(ctx, req.Project, req.Branch)
		for i, v := range found {
			list = append(list, versionOf(v, i == 0))
		}
		return err
	})
	return list, err
}

func (r *running) rollback(ctx context.Context, req BranchRequest) (v Version, err error) {
	err = r.on(ctx, func(ctx context.Context, env node.Env) error {
		client := tnsapi.NewClient(env.Wire)
		done, err := client.Rollback(ctx, req.Project, req.Branch, req.Commit)
		if transport.KindOf(err) == transport.NotFound {
			kept, _ := client.History(ctx, req.Project, req.Branch)
			return whichCommit(req, kept)
		}
		v = versionOf(done.Version, true)
		return err
	})
	return v, err
}

// whichCommit says of a commit that is none of those that are kept which one may have been meant.
func whichCommit(req BranchRequest, kept []tnsapi.Version) error {
	text := fmt.Sprintf("no version of commit %q is kept of branch %s of %s: tau versions %[3]s --branch %[2]s shows those that are", req.Commit, req.Branch, req.Project)
	for _, v := range kept {
		if req.Commit != "" && strings.HasPrefix(v.Commit, req.Commit) {
			text = fmt.Sprintf("%q is the beginning of a commit, and the whole of it is expected: %s", req.Commit, v.Commit)
			break
		}
	}
	return transport.New(transport.NotFound, "rollback", text)
}

// RevokeRequest takes the certificates of a member back; Statement is the encoded revocation that the cloud key has signed,
// which it takes for a member that is an auth.
type RevokeRequest struct {
	Peer string `json:"peer"`
	// Unknown: also if this node knows no such member.
	Unknown   bool   `json:"unknown,omitempty"`
	Statement []byte `json:"statement,omitempty"`
}

// RevokeResponse says on how many auths that is durable.
type RevokeResponse struct {
	Copies int `json:"copies"`
}

func (r *running) revoke(ctx context.Context, req RevokeRequest) (resp RevokeResponse, err error) {
	peer, err := transport.ParsePeer(req.Peer)
	if err != nil {
		return resp, transport.New(transport.Invalid, "revoke", "this is no peer: tau peers shows them")
	}
	if key, _ := r.cloudKey(); peer == key {
		return resp, transport.New(transport.Invalid, "revoke", "this is the cloud's own key, by which all others count: it is replaced, not revoked")
	}
	ask := authapi.RevokeRequest{Subject: peer}
	if len(req.Statement) > 0 {
		ask.Statement = &membership.Revoking{}
		if err := transport.Decode(req.Statement, ask.Statement); err != nil {
			return resp, transport.New(transport.Invalid, "revoke", "the statement is not whole")
		}
	}
	err = r.auth(ctx, "revoke", func(ctx context.Context, env node.Env) error {
		if err := r.isMember(ctx, env, peer); err != nil && !req.Unknown {
			return err
		}
		done, err := authapi.Revoke.Call(ctx, env.Wire, env.Self, ask)
		resp.Copies = done.Copies
		return err
	})
	return resp, err
}

// isMember says of a peer that this node has never heard of which one may have been meant.
func (r *running) isMember(ctx context.Context, env node.Env, peer transport.Peer) error {
	if peer == env.Self || env.Members().Known(peer) != nil {
		return nil
	}
	list, _ := r.listPeers(ctx, env)
	nearest := ""
	for _, p := range list {
		if p.Peer == peer.String() {
			return nil
		}
		if differs(p.Peer, peer.String()) < differs(nearest, peer.String()) {
			nearest = p.Peer + " (" + p.Name + ")"
		}
	}
	hint := "this node knows no other"
	if nearest != "" {
		hint = "the most like it is " + nearest
	}
	return transport.New(transport.NotFound, "revoke", "no member is known by this peer: "+hint+"; --unknown revokes it all the same, as one that is gone for long or was never seen from here")
}

// differs is in how many places two names of peers differ.
func differs(a, b string) (n int) {
	a, _, _ = strings.Cut(a, " ")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			n++
		}
	}
	return n
}

// RevokedRequest asks whether a member's certificates were taken back, as far as this node knows.
type RevokedRequest struct {
	Peer string `json:"peer"`
}

// RevokedResponse says so.
type RevokedResponse struct {
	Revoked bool `json:"revoked"`
}

func (r *running) revoked(ctx context.Context, req RevokedRequest) (resp RevokedResponse, err error) {
	peer, err := transport.ParsePeer(req.Peer)
	if err != nil {
		return resp, transport.New(transport.Invalid, "revoked", "this is no peer: tau peers shows them")
	}
	err = r.onEarly(ctx, func(_ context.Context, env node.Env) error {
		heard := peer == env.Self && strings.Contains(r.stranger(), membership.ErrRevoked.Error()) // of itself it is told by others
		resp.Revoked = heard || env.Authority.Revoked(peer)
		return nil
	})
	return resp, err
}

// takeCertificate takes a certificate over that was written beside the node's keys.
func (r *running) takeCertificate(ctx context.Context, _ nothing) (done nothing, err error) {
	p, err := readCertificate(r.cfg.Paths.Certificate)
	if err != nil {
		return done, err
	}
	return done, r.onEarly(ctx, func(ctx context.Context, env node.Env) error {
		_, _ = env.Authority.Rotate(p.Rotations...) // the key that has signed it may be news
		return env.Authority.SetOwn(p)
	})
}

// leave says to others that the node leaves for ever, and ends it.
func (r *running) leave(context.Context, nothing) (nothing, error) {
	if r.started() == nil {
		return nothing{}, errStarting
	}
	r.keep(func() { r.leaving = true })
	r.end()
	return nothing{}, nil
}

// audit reads all that is on the node's disk.
func (r *running) audit(ctx context.Context, _ nothing) (a blocks.Audit, err error) {
	r.mu.Lock()
	disk := r.disk
	r.mu.Unlock()
	if disk == nil {
		return a, errors.New("the disk is not open yet: " + r.doingNow())
	}
	return blocks.AuditDisk(ctx, disk)
}

func (r *running) doingNow() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.doing
}
