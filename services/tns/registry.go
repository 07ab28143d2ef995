package tns

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// registry reads and writes a replica's versions and fences in its store. Nothing here parks, so
// what is read stays true until the write that depends on it.
type registry struct {
	store storage.Store
	keep  int // versions per branch
	// keepArtifacts is of how many of them the artifact is kept.
	keepArtifacts int
	// hoarders reports whether there may be some to tell of artifacts; nil: there are none.
	hoarders func() bool
}

// all lists the versions of a branch as they are stored.
func (r registry) all(project, branch string) ([]tnsapi.Version, error) {
	stored, err := r.store.List(storage.K(versions, project, branch))
	if err != nil {
		return nil, err
	}
	return decodeVersions(stored), nil
}

// decodeVersions reads headers. An undecodable header, or one under the wrong key, is left out
// without hiding its neighbours: another release may have written it.
func decodeVersions(stored []storage.Entry) []tnsapi.Version {
	list := make([]tnsapi.Version, 0, len(stored))
	for _, e := range stored {
		if v, err := headers.Of(e.Key, e.Value); err == nil {
			list = append(list, v)
		}
	}
	return list
}

// headersMax bounds the decoded headers that a process remembers.
const headersMax = 1 << 13

// headers remembers what readHeader returns: a branch is read at each question about it.
var headers = storage.NewMemo(headersMax, readHeader)

// readHeader decodes a header. The result is shared, and never changed.
func readHeader(k storage.Key, value []byte) (v tnsapi.Version, err error) {
	if err := transport.Decode(value, &v); err != nil {
		return v, err
	}
	if versionKey(v) != k {
		return v, errNoHeader
	}
	return v, nil
}

var errNoHeader = errors.New("tns: a version under the key of another one")

// history lists the versions of a branch that count, newest first. Incomplete versions do not
// count.
func (r registry) history(project, branch string) ([]tnsapi.Version, error) {
	all, err := r.all(project, branch)
	if err != nil {
		return nil, err
	}
	var torn error
	all = slices.DeleteFunc(all, func(v tnsapi.Version) bool {
		ok, err := r.whole(v)
		torn = errors.Join(torn, err)
		return !ok
	})
	return history(all), torn
}

// current is the version that readers see; NotFound if there is none.
func (r registry) current(project, branch string) (tnsapi.Version, error) {
	all, err := r.all(project, branch)
	if err != nil {
		return tnsapi.Version{}, err
	}
	for _, v := range history(all) {
		if ok, err := r.whole(v); ok || err != nil {
			return v, err
		}
	}
	return tnsapi.Version{}, transport.New(transport.NotFound, tnsapi.Service, "nothing is published on "+project+"/"+branch)
}

// whole reports whether all entries of v are here.
func (r registry) whole(v tnsapi.Version) (bool, error) {
	list, err := r.entries(v)
	return err == nil && whole(v, list), err
}

// entries lists the entries of v, in path order.
func (r registry) entries(v tnsapi.Version) ([]tnsapi.Entry, error) {
	stored, err := r.store.List(entriesKey(v))
	if err != nil {
		return nil, err
	}
	return entriesOf(stored), nil
}

// entriesOf lists the stored entries of a version, in path order.
func entriesOf(stored []storage.Entry) []tnsapi.Entry {
	list := make([]tnsapi.Entry, 0, len(stored))
	for _, e := range stored {
		parts := e.Key.Parts()
		list = append(list, tnsapi.Entry{Path: parts[len(parts)-1], Value: e.Value})
	}
	sortEntries(list) // keys are ordered after escaping
	return list
}

func sortEntries(list []tnsapi.Entry) {
	slices.SortFunc(list, func(a, b tnsapi.Entry) int { return strings.Compare(a.Path, b.Path) })
}

// known reads what the decision about a job depends on.
func (r registry) known(project, branch, job string) (known, error) {
	all, err := r.all(project, branch)
	if err != nil {
		return known{}, err
	}
	k := known{versions: all, keep: r.keep}
	stored, err := r.store.List(storage.K(fences, project, branch, job))
	if err != nil {
		return known{}, err
	}
	for _, e := range stored {
		t, err := parseFence(e.Key)
		if err != nil {
			return known{}, fmt.Errorf("tns: %s: %w", e.Key, err)
		}
		k.fences = append(k.fences, t)
	}
	return k, nil
}

// stale returns a Conflict if a higher token of the job is known than that of a claim.
func (r registry) stale(c claim) error {
	k, err := r.known(c.project, c.branch, c.job)
	if err != nil {
		return err
	}
	return k.fence(c.job, c.token)
}

// fence stores a token. It returns a Conflict if a higher one is known.
func (r registry) fence(req tnsapi.FenceRequest) error {
	k, err := r.known(req.Project, req.Branch, req.Job)
	if err != nil {
		return err
	}
	if err := k.fence(req.Job, req.Token); err != nil {
		return err
	}
	var batch storage.Batch
	k.raise(&batch, req.Project, req.Branch, req.Job, req.Token)
	if batch.Len() == 0 {
		return nil
	}
	return r.store.Apply(&batch)
}

// raise writes a fence that is not there yet and drops those below it, which it
// makes superfluous.
func (k known) raise(batch *storage.Batch, project, branch, job string, t fencing.Token) {
	for _, f := range k.fences {
		if f.Compare(t) < 0 {
			batch.Delete(fenceKey(project, branch, job, f))
		}
	}
	if !slices.Contains(k.fences, t) {
		batch.Put(fenceKey(project, branch, job, t), fenced)
	}
}

// publish stores a version, its entries and its fence, and drops versions that need not be kept any
// more, all in one batch. Conflict if the token is stale or the version out of date.
func (r registry) publish(v tnsapi.Version, list []tnsapi.Entry) (stored tnsapi.Version, duplicate bool, err error) {
	k, err := r.known(v.Project, v.Branch, v.Job)
	if err != nil {
		return v, false, err
	}
	old, err := k.publish(v)
	if err != nil {
		return v, false, err
	}
	if old != nil {
		return *old, true, nil
	}
	var batch storage.Batch
	for _, e := range list {
		batch.Put(storage.K(entries, v.Project, v.Branch, versionID(v), e.Path), e.Value)
	}
	batch.Put(versionKey(v), transport.Encode(v))
	k.raise(&batch, v.Project, v.Branch, v.Job, v.Token)
	r.chore(&batch, k.versions, v)
	if err := r.drop(&batch, append(slices.Clip(k.versions), v)); err != nil {
		return v, false, err
	}
	return v, false, r.store.Apply(&batch)
}

// drop deletes the surplus of a branch, with the fences of jobs that have no version left: they
// cannot publish any more, see known.publish.
func (r registry) drop(batch *storage.Batch, all []tnsapi.Version) error {
	gone := surplus(all, r.keep)
	for _, v := range gone {
		batch.Delete(versionKey(v))
		stored, err := r.store.List(entriesKey(v))
		if err != nil {
			return err
		}
		survives := slices.ContainsFunc(all, func(o tnsapi.Version) bool {
			return o.Job == v.Job && !slices.ContainsFunc(gone, func(g tnsapi.Version) bool { return versionID(g) == versionID(o) })
		})
		if !survives {
			fenced, err := r.store.List(storage.K(fences, v.Project, v.Branch, v.Job))
			if err != nil {
				return err
			}
			stored = append(stored, fenced...)
		}
		for _, e := range stored {
			batch.Delete(e.Key)
		}
	}
	return nil
}
