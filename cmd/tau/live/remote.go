package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/credentials"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/membership"
)

// AskMethod is what members ask each other for people who are elsewhere: what is read, and changes nothing. Whoever is a
// member may, by its certificate.
var AskMethod = transport.Method[AskRequest, AskResponse]{Name: speakerName + "/ask", Rule: transport.Member, Everywhere: true}

// AskRequest is a question as the socket takes it, by its path, with the query as JSON.
type AskRequest struct {
	Question string `cbor:"1,keyasint"`
	Query    []byte `cbor:"2,keyasint,omitempty"`
}

// AskResponse is the answer as JSON, of at most [transport.MessageLenMax] bytes.
type AskResponse struct {
	Answer []byte `cbor:"1,keyasint"`
}

const (
	queryLenMax  = 16 << 10
	answerLenMax = transport.MessageLenMax - 1024
	// remoteTimeout bounds an answer, with the way to it: less than people wait for the socket.
	remoteTimeout = askTimeout - time.Second
	// answersMax is how many questions of others a node is at: each takes a goroutine.
	answersMax = 16
)

// questions are those that are answered to members, by path.
var questions = map[string]func(r *running, ctx context.Context, query []byte) (any, error){
	"status":    answering((*running).status),
	"peers":     answering((*running).peers),
	"jobs":      answering((*running).jobs),
	"log":       answering((*running).log),
	"said":      answering((*running).said),
	"functions": answering((*running).functions),
	"versions":  answering((*running).versions),
}

func answering[Req, Resp any](h func(r *running, ctx context.Context, req Req) (Resp, error)) func(r *running, ctx context.Context, query []byte) (any, error) {
	return func(r *running, ctx context.Context, query []byte) (any, error) {
		var req Req
		if len(query) > 0 {
			if err := json.Unmarshal(query, &req); err != nil {
				return nil, transport.New(transport.Invalid, AskMethod.Name, err.Error())
			}
		}
		return h(r, ctx, req)
	}
}

// answerMember answers a member. It is a task of the agent that speaks for people, which the answer takes turns of, so it leaves
// its own.
func (r *running) answerMember(ctx context.Context, env node.Env, req AskRequest) (resp AskResponse, err error) {
	h := questions[req.Question]
	switch {
	case h == nil || len(req.Query) > queryLenMax:
		return resp, transport.New(transport.Invalid, AskMethod.Name, "there is no such question")
	case r.answers >= answersMax:
		return resp, transport.New(transport.Refused, AskMethod.Name, "too many ask at once")
	}
	r.answers++
	defer func() { r.answers-- }()
	var answer any
	left := clock.Offload(ctx, env.Loop, func() {
		within, cancel := context.WithTimeout(context.Background(), remoteTimeout)
		defer cancel()
		answer, err = h(r, within, req.Query)
	})
	if err = errors.Join(left, err); err != nil {
		return resp, err
	}
	if resp.Answer, err = json.Marshal(answer); err == nil && len(resp.Answer) > answerLenMax {
		err = transport.New(transport.Invalid, AskMethod.Name, "the answer is too long: ask on the node itself")
	}
	return resp, err
}

// RemoteRequest asks another member, by its peer, its name or its address with /p2p/.
type RemoteRequest struct {
	Node     string          `json:"node"`
	Question string          `json:"question"`
	Query    json.RawMessage `json:"query,omitempty"`
}

// remote puts a question to another member by this node's certificate.
func (r *running) remote(ctx context.Context, req RemoteRequest) (answer json.RawMessage, err error) {
	err = r.on(ctx, func(ctx context.Context, env node.Env) error {
		peer, err := r.memberCalled(ctx, env, req.Node)
		if err != nil {
			return err
		}
		if peer == env.Self {
			return transport.New(transport.Conflict, "ask", "this is the node itself: leave --node out")
		}
		answer, err = askMember(ctx, env.Loop, env.Wire, env.Authority, peer, req)
		return err
	})
	return answer, err
}

// memberCalled is the member that people name. Of an address the node takes a note, as it may not know the member yet.
func (r *running) memberCalled(ctx context.Context, env node.Env, text string) (p transport.Peer, err error) {
	if p, err = transport.ParsePeer(text); err == nil {
		return p, nil
	}
	if c, err := shape.ParseContact(text); err == nil {
		if env.Members().Known(c.Peer) == nil {
			r.host.SetAddresses(c.Peer, c.Addresses)
		}
		return c.Peer, nil
	}
	list, _ := r.listPeers(ctx, env)
	list = slices.DeleteFunc(list, func(p Peer) bool { return p.Name != text })
	switch len(list) {
	case 0:
		return p, transport.New(transport.NotFound, "ask", fmt.Sprintf("no member is known by the name %q: tau peers shows them; a peer, or an address with /p2p/, does as well", text))
	case 1:
		return transport.ParsePeer(list[0].Peer)
	}
	return p, transport.New(transport.Conflict, "ask", fmt.Sprintf("%d members have the name %q: name one by its peer (tau peers)", len(list), text))
}

// askMember asks, and believes a member only.
func askMember(ctx context.Context, loop clock.Loop, wire *transport.Endpoint, authority *credentials.Authority, peer transport.Peer, req RemoteRequest) (json.RawMessage, error) {
	ctx, cancel := clock.WithTimeout(ctx, loop, remoteTimeout)
	defer cancel()
	resp, err := AskMethod.Call(ctx, wire, peer, AskRequest{Question: req.Question, Query: req.Query})
	if err != nil {
		return nil, err
	}
	if _, known := authority.Grants(peer); !known {
		return nil, transport.New(transport.NotAllowed, AskMethod.Name, "who has answered is no member of the cloud")
	}
	return resp.Answer, nil
}

// AskRemote asks a member for a node of this machine that does not run, with its key and certificate: by the invitation that it
// has it gets one first. The member is named by an address with /p2p/, or by a peer of which the configuration has the address.
func AskRemote(ctx context.Context, s *shape.Shape, paths shape.Paths, req RemoteRequest) (answer json.RawMessage, err error) {
	lock, err := lockRun(paths)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	r := &running{cfg: Config{Shape: s, Paths: paths, Log: NewLog(io.Discard, s.Level(), true)}, began: time.Now()}
	key, contacts, err := r.told()
	if err != nil {
		return nil, err
	}
	c, err := contactCalled(contacts, req.Node)
	if err != nil {
		return nil, err
	}
	certificate, err := r.certificate(ctx)
	if err == nil && certificate == nil { // ctx has ended
		err = errors.New(r.doingNow())
	}
	if err != nil {
		return nil, err
	}
	return r.askAlone(ctx, key, c, *certificate, req)
}

func contactCalled(contacts []node.Contact, text string) (node.Contact, error) {
	if c, err := shape.ParseContact(text); err == nil {
		return c, nil
	}
	for _, c := range contacts {
		if c.Peer.String() == strings.TrimSpace(text) {
			return c, nil
		}
	}
	return node.Contact{}, transport.New(transport.Invalid, "ask", fmt.Sprintf("%q: while the node of this machine does not run, name another by its address with /p2p/ (tau status shows those of a node), or by one of the peers of the configuration", text))
}

// askAlone asks over a host that nobody needs to reach.
func (r *running) askAlone(ctx context.Context, key transport.Peer, c node.Contact, p membership.Presented, req RemoteRequest) (answer json.RawMessage, err error) {
	id := r.cfg.Shape.Identity()
	host, err := libp2p.New(id, nil, nil)
	if err != nil {
		return nil, err
	}
	host.SetAddresses(c.Peer, c.Addresses)
	loop := clock.NewNamedLive("ask", r.cfg.Log.Logger)
	defer loop.Stop(loopTimeout)
	authority := credentials.New(loop, id.Peer(), membership.NewTrust(r.cfg.Shape.Network, key))
	_, _ = authority.Rotate(p.Rotations...)
	if err := authority.SetOwn(p); err != nil {
		return nil, errors.Join(err, host.Close())
	}
	engine := transport.NewEngine(host, loop, transport.NewStaticDirectory(), transport.AuthorizeBy(authority))
	defer engine.Close()
	entered := clock.Do(ctx, loop, func(ctx context.Context) {
		answer, err = askMember(ctx, loop, engine.Endpoint(loop), authority, c.Peer, req)
	})
	return answer, errors.Join(err, entered)
}
