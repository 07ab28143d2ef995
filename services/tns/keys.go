package tns

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
)

// The keys of the replicated store. No key is ever written with two values, so nothing is lost when
// partitioned replicas merge:
//
//	/version/<project>/<branch>/<id>       the header, an encoded tnsapi.Version
//	/entry/<project>/<branch>/<id>/<path>  the value of one entry of it
//	/fence/<project>/<branch>/<job>/<token>  a fence: the key contains the token
//	/artifact/<project>/<branch>/<job>/<what>  a chore: the CID of the artifact
const (
	versions = "version"
	entries  = "entry"
	fences   = "fence"
	chores   = "artifact"
)

// versionID is unique to a version's identity, and the order of IDs is that of the versions' Order.
// The hashed fields never change: a field that is added to Version is not part of it.
func versionID(v tnsapi.Version) string {
	id := storage.NewIdentity().Text(v.Project).Text(v.Branch).Text(v.Commit).Text(v.Job).
		Number(v.Order).Number(uint64(v.Rollback)).Number(v.Token.Attempt).Bytes(v.Token.Holder[:]).
		Text(v.Artifact).Number(uint64(v.Count)).Bytes(v.Digest)
	return fmt.Sprintf("%020d-%x", v.Order, id.Sum()[:8])
}

func versionKey(v tnsapi.Version) storage.Key {
	return storage.K(versions, v.Project, v.Branch, versionID(v))
}

// branchOf is the branch of a header's key. Other keys there have none.
func branchOf(k storage.Key) (b tnsapi.BranchRequest, ok bool) {
	parts := k.Parts()
	if len(parts) != 4 || parts[0] != versions {
		return b, false
	}
	return tnsapi.BranchRequest{Project: parts[1], Branch: parts[2]}, true
}

func entriesKey(v tnsapi.Version) storage.Key {
	return storage.K(entries, v.Project, v.Branch, versionID(v))
}

func fenceKey(project, branch, job string, t fencing.Token) storage.Key {
	return storage.K(fences, project, branch, job, fmt.Sprintf("%020d-%x", t.Attempt, t.Holder[:]))
}

// fenced is the value of a fence: not empty, since nil is absence.
var fenced = []byte{1}

// parseFence is the token of a fence. It is read from the key alone, so that no
// value that another release has written can hide a fence.
func parseFence(k storage.Key) (t fencing.Token, err error) {
	parts := k.Parts()
	attempt, holder, ok := strings.Cut(parts[len(parts)-1], "-")
	raw, hexErr := hex.DecodeString(holder)
	if !ok || hexErr != nil || len(raw) != len(t.Holder) {
		return t, errNoFence
	}
	copy(t.Holder[:], raw)
	t.Attempt, err = strconv.ParseUint(attempt, 10, 64)
	return t, err
}

var errNoFence = errors.New("not the key of a fence")
