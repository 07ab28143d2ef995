package patrick

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/webhook"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

const (
	// hookTimeout bounds the question of what a webhook is, and hookBodyTimeout how long its body may take.
	hookTimeout, hookBodyTimeout = 5 * time.Second, 20 * time.Second
	// unknownFor is how long an auth's word counts that a webhook is none; unknownMax bounds how many are remembered.
	unknownFor, unknownMax = 5 * time.Second, 1024
	// deliveriesMax bounds the deliveries of a repository that are remembered, the newest of them.
	deliveriesMax = 256
	// hookIDLenMax bounds the name of a webhook, in bytes.
	hookIDLenMax = 64
)

// delivered is that a delivery was taken.
type delivered struct {
	At int64 // nanoseconds since 1970
}

func deliveriesKey(r string) storage.Key { return storage.K("delivery", r) }

// deliveryKey names a delivery of a repository. What a forge writes into its id is none of a key's business.
func deliveryKey(r, id string) storage.Key {
	sum := sha256.Sum256([]byte(id))
	return storage.K("delivery", r, hex.EncodeToString(sum[:16]))
}

// serveHook takes a webhook: it looks up whose it is, reads no more than is allowed, proves it, sees what it is about, and keeps that
// somebody has to look. Before that nothing is stored, and nothing is built before the answer.
func serveHook(w http.ResponseWriter, r *http.Request, in inside) {
	var hook authapi.HookResponse
	var now time.Time
	at := &reading{address: addressOf(r)}
	refused := in(r.Context(), func(ctx context.Context, s *Service) (err error) {
		hook, err = s.admitHook(ctx, r.PathValue("hook"), at)
		now = s.env.Loop.Now()
		return err
	})
	defer func() {
		_ = in(context.WithoutCancel(r.Context()), func(_ context.Context, s *Service) error { s.looks.readings.end(at); return nil })
	}()
	if refused != nil {
		turnAway(w, r, in, refused)
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(now.Add(hookBodyTimeout)) // where it cannot be set, the server has one
	body, err := readHook(r, in, at)
	if err != nil {
		turnAway(w, r, in, err)
		return
	}
	told, err := webhook.Read(webhook.Hook{Forge: webhook.Forge(hook.Repository.Forge), Secrets: hook.Secrets}, textproto.MIMEHeader(r.Header), body, now)
	if err != nil {
		turnAway(w, r, in, hookError(err))
		return
	}
	if why := foreign(hook.Repository, told); why != "" {
		turnAway(w, r, in, &httpError{http.StatusForbidden, why})
		return
	}
	if !news(hook.Repository, told) {
		answer(w, http.StatusOK, hookAnswer{Status: "ignored", Repository: hook.Repository.Name})
		return
	}
	var resp hookAnswer
	if err := in(r.Context(), func(ctx context.Context, s *Service) (err error) {
		resp, err = s.noteHook(ctx, hook.Repository, told)
		return err
	}); err != nil {
		turnAway(w, r, in, err)
		return
	}
	answer(w, http.StatusAccepted, resp)
}

// hookAnswer is what a forge shows to who looks at the deliveries of a webhook.
type hookAnswer struct {
	// Status is accepted, duplicate, or ignored if it is about nothing that is built.
	Status     string `json:"status"`
	Repository string `json:"repository"`
}

// admitHook finds out what a webhook is, and whether one more of it may be read now. The reading has to be ended, whatever comes of it.
func (s *Service) admitHook(ctx context.Context, id string, at *reading) (hook authapi.HookResponse, err error) {
	switch {
	case s.looks.forge == nil:
		return hook, &httpError{http.StatusServiceUnavailable, "this node asks no forges"}
	case len(id) > hookIDLenMax || project.CheckIdentifier(id) != nil:
		return hook, errNoHook
	}
	if until, is := s.looks.unknown[id]; is && s.env.Loop.Elapsed() < until {
		return hook, errNoHook
	}
	if s.env.Presence(authapi.Service) == transport.Nobody {
		return hook, errNoHook
	}
	if !s.looks.readings.begin(at) {
		return hook, errBusy
	}
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, hookTimeout)
	defer cancel()
	hook, err = s.looks.auth.Hook(ctx, id)
	switch transport.KindOf(err) {
	case 0:
		if !s.looks.readings.of(at, hook.Repository) {
			return hook, errBusy
		}
		return hook, nil
	case transport.NotFound:
		s.believeUnknown(id)
		return hook, errNoHook
	}
	s.env.Log.Info("auth does not say what a webhook is", "err", err)
	return hook, &httpError{http.StatusServiceUnavailable, "it cannot be found out now what this webhook is: try again"}
}

var (
	errNoHook = &httpError{http.StatusNotFound, "there is no such webhook"}
	errBusy   = &httpError{http.StatusServiceUnavailable, "too many webhooks come at once: try again"}
)

// believeUnknown remembers for a while that there is no such webhook.
func (s *Service) believeUnknown(id string) {
	now := s.env.Loop.Elapsed()
	if len(s.looks.unknown) >= unknownMax {
		maps.DeleteFunc(s.looks.unknown, func(_ string, until time.Duration) bool { return now >= until })
	}
	if len(s.looks.unknown) < unknownMax {
		s.looks.unknown[id] = now + unknownFor
	}
}

// hookError gives a refused delivery a status.
func hookError(err error) error {
	var e *webhook.Error
	if !errors.As(err, &e) {
		return err
	}
	status := map[webhook.Reason]int{
		webhook.Unproven: http.StatusUnauthorized, webhook.Malformed: http.StatusBadRequest, webhook.TooLarge: http.StatusRequestEntityTooLarge,
		webhook.NotJSON: http.StatusUnsupportedMediaType, webhook.NoForge: http.StatusInternalServerError,
	}[e.Reason]
	return &httpError{status, e.Text}
}

// foreign says why a delivery is not about the repository of its webhook, "" if it is. Who has the secret of one webhook says nothing
// of other repositories by it. An event about no repository, such as a ping of a whole organisation, is about none.
func foreign(r authapi.Repository, d webhook.Delivery) string {
	if d.Repository == (webhook.Repository{}) {
		return ""
	}
	for _, name := range []string{d.Repository.Name, d.Repository.ID} {
		if name != "" && strings.EqualFold(name, r.At()) {
			return ""
		}
	}
	return "the delivery is about another repository than the webhook"
}

// news reports whether a delivery is a reason to look: it says that a branch has moved that is followed, or does not say all.
func news(r authapi.Repository, d webhook.Delivery) bool {
	if d.Partial {
		return true
	}
	return slices.ContainsFunc(d.Updates, func(u webhook.Update) bool { return u.Branch() != "" && followed(r, u.Ref) })
}

// noteHook keeps, on two patricks if there are, that somebody has to look at a repository, and which delivery said so.
func (s *Service) noteHook(ctx context.Context, r authapi.Repository, d webhook.Delivery) (resp hookAnswer, err error) {
	if err := s.storeReady(); err != nil {
		return resp, err
	}
	resp = hookAnswer{Status: "accepted", Repository: r.Name}
	now := s.env.Loop.Now().UnixNano()
	b := new(storage.Batch)
	if d.ID != "" {
		if _, err := s.store.Get(deliveryKey(r.Name, d.ID)); err == nil {
			resp.Status = "duplicate"
			s.env.Observe("hook-duplicate", node.F("repository", r.Name))
		} else {
			b.Put(deliveryKey(r.Name, d.ID), transport.Encode(delivered{At: now}))
			s.forgetDeliveries(b, r.Name)
		}
	}
	if resp.Status == "accepted" {
		b.Put(lookKey(r.Name, s.env.Self), transport.Encode(lookNote{At: now}))
		if err := s.store.Apply(b); err != nil {
			return resp, err
		}
	}
	copies, err := s.replicate(ctx, replicateTimeout)
	if err != nil {
		return resp, err
	}
	if copies < s.copies() && s.notAlone(ctx, "forge/"+r.Name) {
		return resp, &httpError{http.StatusServiceUnavailable, "it is not on a second patrick yet: try again"}
	}
	if resp.Status == "accepted" {
		s.env.Observe("hook-accepted", node.F("repository", r.Name), node.F("copies", copies))
	}
	return resp, nil
}

// forgetDeliveries adds to a batch that the oldest deliveries are forgotten.
func (s *Service) forgetDeliveries(b *storage.Batch, r string) {
	all := s.store.Entries(deliveriesKey(r))
	if len(all) < deliveriesMax {
		return
	}
	at := func(e storage.Entry) int64 {
		var d delivered
		_ = transport.Decode(e.Value, &d) // what is none is the oldest
		return d.At
	}
	slices.SortStableFunc(all, func(a, b storage.Entry) int { return int(min(1, max(-1, at(a)-at(b)))) })
	for _, e := range all[:len(all)+1-deliveriesMax] {
		b.Delete(e.Key)
	}
}
