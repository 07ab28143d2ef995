package tns

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/taucloud/tau/services/tns/tnsapi"
)

// newest orders versions, the one that counts first: by Order, then by token.
// The ID decides between versions that are different but equal in both, which
// only replicas that were apart can have accepted.
func newest(a, b tnsapi.Version) int {
	return cmp.Or(
		cmp.Compare(b.Order, a.Order),
		b.Token.Compare(a.Token),
		strings.Compare(versionID(b), versionID(a)),
	)
}

// history is what counts of the versions of a branch: of each job the one with
// the highest token, newest first. A job can have more when replicas that were
// apart let two of its builders publish; only one outcome counts.
func history(all []tnsapi.Version) []tnsapi.Version {
	best := map[string]tnsapi.Version{}
	for _, v := range all {
		b, found := best[v.Job]
		if !found || cmp.Or(v.Token.Compare(b.Token), newest(b, v)) > 0 {
			best[v.Job] = v
		}
	}
	list := make([]tnsapi.Version, 0, len(best))
	for _, v := range all {
		if versionID(best[v.Job]) == versionID(v) {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, newest)
	return list
}

// surplus lists the versions that need not be kept: outdated outcomes of their
// jobs, and all but the newest keep of the history. The current one never is.
func surplus(all []tnsapi.Version, keep int) []tnsapi.Version {
	kept := map[string]bool{}
	h := history(all)
	for _, v := range h[:min(len(h), keep)] {
		kept[versionID(v)] = true
	}
	var list []tnsapi.Version
	for _, v := range all {
		if !kept[versionID(v)] {
			list = append(list, v)
		}
	}
	return list
}

// digest sums up entries, which must be in path order.
func digest(list []tnsapi.Entry) []byte {
	h := sha256.New()
	var length [8]byte
	add := func(data []byte) {
		binary.BigEndian.PutUint64(length[:], uint64(len(data)))
		h.Write(length[:])
		h.Write(data)
	}
	for _, e := range list {
		add([]byte(e.Path))
		add(e.Value)
	}
	return h.Sum(nil)
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
