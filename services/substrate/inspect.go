package substrate

import (
	"github.com/taucloud/tau/services/tns/tnsapi"
)

// Served is the version of a branch that is served, and whether there is one. It is for checkers.
func (s *Service) Served(project, branch string) (tnsapi.Version, bool) {
	r := s.projects[s.nameOf(project, branch)]
	if r == nil {
		return tnsapi.Version{}, false
	}
	return r.version, true
}

// Cached are the bytes of assets that it keeps.
func (s *Service) Cached() (bytes int64, bundles int) { return s.cached, len(s.bundles) }
