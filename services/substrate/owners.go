package substrate

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/project/route"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

const (
	// ownersEvery is how often auths are asked whose hosts are, ownersAgain how soon after no answer, and ownersTimeout bounds a question.
	ownersEvery   = 20 * time.Second
	ownersAgain   = 2 * time.Second
	ownersTimeout = 15 * time.Second
)

// owners is what auths say of projects: which hosts are theirs, and since when they are there. Projects that no auth knows come last.
type owners struct {
	known bool // an answer has come, or the cloud has no auth
	hosts map[string]string
	since map[string]uint64
}

// ownersKey is where they are on this node's disk, so that a start while no auth answers knows them.
var ownersKey = storage.K("owners")

type ownersRecord struct {
	Hosts map[string]string `cbor:"1,keyasint"`
	Since map[string]uint64 `cbor:"2,keyasint"`
}

// recallOwners takes over what was known before.
func (s *Service) recallOwners() error {
	raw, err := s.env.Local.Get(ownersKey)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var r ownersRecord
	if transport.Decode(raw, &r) == nil { // otherwise it is as if nothing were known
		s.owners = owners{known: true, hosts: r.Hosts, since: r.Since}
	}
	return nil
}

// followOwners keeps up with auths.
func (s *Service) followOwners(ctx context.Context) {
	for {
		wait := ownersEvery
		if err := s.askOwners(ctx); err != nil {
			wait = ownersAgain
		}
		if clock.Sleep(ctx, s.env.Loop, wait) != nil {
			return
		}
	}
}

func (s *Service) askOwners(ctx context.Context) error {
	next := owners{known: true, hosts: map[string]string{}, since: map[string]uint64{}}
	switch s.env.Presence(authapi.Service) {
	case transport.Somebody:
		ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, ownersTimeout)
		defer cancel()
		domains, err := s.auth.Domains(ctx, "")
		if err != nil {
			return err
		}
		projects, err := s.auth.Projects(ctx)
		if err != nil {
			return err
		}
		for _, d := range domains {
			next.hosts[d.Host] = d.Project
		}
		for _, p := range projects {
			next.since[p.Name] = uint64(max(0, p.Made))
		}
	case transport.Nobody:
		if s.owners.known {
			return nil // all auths may have left: what they have said counts
		}
	default:
		return transport.New(transport.Unreachable, authapi.Service, "no auth is known yet")
	}
	if s.owners.known && maps.Equal(next.hosts, s.owners.hosts) && maps.Equal(next.since, s.owners.since) {
		return nil
	}
	s.owners = next
	if err := s.env.Local.Apply(new(storage.Batch).Put(ownersKey, transport.Encode(ownersRecord{next.hosts, next.since}))); err != nil {
		return err // and asked again
	}
	for _, host := range slices.Sorted(maps.Keys(s.byHost)) {
		if s.contested(host) {
			s.decide(host)
		}
	}
	return nil
}

// projectOf is the project of a name of nameOf.
func projectOf(name string) string {
	project, _, _ := strings.Cut(name, "\x00")
	return project
}

// contested reports whether several projects claim a host, or one whose it is not.
func (s *Service) contested(host string) bool {
	owner := s.owners.hosts[host]
	for name := range s.byHost[host] {
		if owner == "" {
			owner = projectOf(name)
		}
		if projectOf(name) != owner {
			return true
		}
	}
	return false
}

// ranked adds to a claimant what decides between it and others.
func (s *Service) ranked(c route.Claimant, host string) route.Claimant {
	since, known := s.owners.since[projectOf(c.Project)]
	if !known {
		since = math.MaxUint64
	}
	c.Since = map[string]uint64{host: since}
	c.Verified = map[string]bool{host: s.owners.hosts[host] == projectOf(c.Project)}
	return c
}
