package versions

import (
	"github.com/taucloud/tau/services/hoarder"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
)

// TNS is what checks see of a replica of tns that runs.
type TNS interface {
	Replica() storage.Replicated
	KeepVersions() int
	Branches() ([]tnsapi.BranchRequest, error)
	Current(project, branch string) (tnsapi.Version, error)
	History(project, branch string) ([]tnsapi.Version, error)
	Torn() ([]string, error)
}

// Hoarder is what they see of a hoarder.
type Hoarder interface{ Held() []string }

var (
	_ TNS     = (*tns.Service)(nil)
	_ Hoarder = (*hoarder.Service)(nil)
)
