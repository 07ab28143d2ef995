package tns

import (
	"crypto/sha256"
	"fmt"

	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// The keys of the replicated store. None is ever written with two values, so
// nothing is lost when replicas that were apart come together:
//
//	/version/<project>/<branch>/<id>       the header, an encoded tnsapi.Version
//	/entry/<project>/<branch>/<id>/<path>  the value of one entry of it
//	/fence/<project>/<branch>/<job>/<token>  an encoded tnsapi.Token
//	/artifact/<project>/<branch>/<job>/<what>  the CID of what hoarders are to be told of
const (
	versions = "version"
	entries  = "entry"
	fences   = "fence"
	chores   = "artifact"
)

// versionID is unique to a version's content, and the order of IDs is the order
// of versions' Order.
func versionID(v tnsapi.Version) string {
	sum := sha256.Sum256(transport.Encode(v))
	return fmt.Sprintf("%020d-%x", v.Order, sum[:8])
}

func versionKey(v tnsapi.Version) storage.Key {
	return storage.K(versions, v.Project, v.Branch, versionID(v))
}

func entriesKey(v tnsapi.Version) storage.Key {
	return storage.K(entries, v.Project, v.Branch, versionID(v))
}

func fenceKey(project, branch, job string, t tnsapi.Token) storage.Key {
	return storage.K(fences, project, branch, job, fmt.Sprintf("%020d-%x", t.Attempt, t.Holder[:]))
}
