package substrate

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/transport"
)

const (
	// secretsFresh is how long secrets of a project count before auths are asked again, and secretsKept how long they count if no auth answers.
	secretsFresh = 30 * time.Second
	secretsKept  = 10 * time.Minute
	// secretsProjects bounds of how many projects they are kept.
	secretsProjects = 256
	// maskedMin is the length from which a secret is not shown in a log.
	maskedMin = 4
)

// secretsKnown are the secrets of a project's functions, in memory alone.
type secretsKnown struct {
	at     time.Duration
	values map[string]string
}

// secretsOf are the secrets that a function names. One that auths do not know is left out.
func (s *Service) secretsOf(ctx context.Context, t *target) (map[string]string, error) {
	if len(t.function.Secrets) == 0 {
		return nil, nil
	}
	project, now := t.release.version.Project, s.env.Loop.Elapsed()
	known, have := s.secrets[project]
	if !have || now-known.at >= secretsFresh {
		values, err := s.askSecrets(ctx, project)
		switch {
		case err == nil:
			known = secretsKnown{s.env.Loop.Elapsed(), values}
			s.keepSecrets(project, known)
		case !have || now-known.at >= secretsKept:
			delete(s.secrets, project)
			return nil, err
		}
	}
	own := map[string]string{}
	for _, name := range t.function.Secrets {
		if value, is := known.values[name]; is {
			own[name] = value
		}
	}
	return own, nil
}

func (s *Service) askSecrets(ctx context.Context, project string) (map[string]string, error) {
	switch s.env.Presence(authapi.Service) {
	case transport.Nobody:
		return nil, nil // a cloud without auth keeps none
	case transport.Somebody:
		return s.auth.FunctionSecrets(ctx, project)
	}
	return nil, transport.New(transport.Unreachable, authapi.Service, "no auth is known yet")
}

func (s *Service) keepSecrets(project string, known secretsKnown) {
	if s.secrets == nil {
		s.secrets = map[string]secretsKnown{}
	}
	if _, have := s.secrets[project]; !have && len(s.secrets) >= secretsProjects {
		oldest := project
		for _, name := range slices.Sorted(maps.Keys(s.secrets)) {
			if o, is := s.secrets[oldest]; !is || s.secrets[name].at < o.at {
				oldest = name
			}
		}
		delete(s.secrets, oldest)
	}
	s.secrets[project] = known
}

// masked is a log without the secrets of a project.
func (s *Service) masked(project, log string) string {
	known := s.secrets[project].values
	if log == "" || len(known) == 0 {
		return log
	}
	values := slices.SortedFunc(maps.Values(known), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	for _, value := range values { // the longest first: one may be a part of another
		if len(value) >= maskedMin {
			log = strings.ReplaceAll(log, value, "***")
		}
	}
	return log
}
