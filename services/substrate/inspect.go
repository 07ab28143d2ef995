package substrate

import (
	"github.com/taucloud/tau/services/tns/tnsapi"
)

// Served is the version of a project that is served, and whether there is one. It is for checkers.
func (s *Service) Served(project string) (tnsapi.Version, bool) {
	r := s.projects[project]
	if r == nil {
		return tnsapi.Version{}, false
	}
	return r.version, true
}

// Branch is the one that is served.
func (s *Service) Branch() string { return s.settings.Branch }

// Cached are the bytes of assets that it keeps.
func (s *Service) Cached() (bytes int64, bundles int) { return s.cached, len(s.bundles) }
