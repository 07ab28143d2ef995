package tns

import (
	"cmp"
	"slices"
	"strings"

	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
)

// newest orders versions, the current one first: by Order, rollback and token. The ID decides
// between different versions that are equal in these, which only partitioned replicas can have
// accepted.
func newest(a, b tnsapi.Version) int {
	if c := b.Compare(a); c != 0 {
		return c
	}
	return strings.Compare(versionID(b), versionID(a))
}

// history is the versions of a branch that count: of each job the one with the highest token,
// newest first. A job can have several when partitioned replicas let two of its builders publish;
// only one outcome counts.
func history(all []tnsapi.Version) []tnsapi.Version {
	counted, _ := split(all)
	return counted
}

// surplus lists the versions that need not be kept: outdated outcomes of their
// jobs, and all but the newest keep of the history. The current one never is.
func surplus(all []tnsapi.Version, keep int) []tnsapi.Version {
	counted, outdated := split(all)
	return append(outdated, counted[min(len(counted), keep):]...)
}

// split separates the versions that count, one per job and newest first, from the others.
func split(all []tnsapi.Version) (counted, outdated []tnsapi.Version) {
	best := map[string]int{}
	for i, v := range all {
		b, found := best[v.Job]
		if !found || cmp.Or(v.Token.Compare(all[b].Token), newest(all[b], v)) > 0 {
			best[v.Job] = i
		}
	}
	for i, v := range all {
		if best[v.Job] == i {
			counted = append(counted, v)
		} else {
			outdated = append(outdated, v)
		}
	}
	slices.SortFunc(counted, newest)
	return counted, outdated
}

// digest is a hash of entries, which must be in path order.
func digest(list []tnsapi.Entry) []byte {
	id := storage.NewIdentity()
	for _, e := range list {
		id.Text(e.Path).Bytes(e.Value)
	}
	return id.Sum()
}

// whole reports whether list, in path order, is all that v consists of.
func whole(v tnsapi.Version, list []tnsapi.Entry) bool {
	return v.Count == len(list) && slices.Equal(v.Digest, digest(list))
}

// below reports whether path is prefix or lies below it.
func below(path, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
}
