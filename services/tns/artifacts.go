package tns

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// Requests to hoarders about artifacts (chores) are written in the batch of the publish that causes
// them, and carried out by a task: the artifact of a published version is pinned for good, and that
// of a version that is no longer among the newest is unpinned. A replica carries out the chores
// that it finds after a pause that grows with its rank for the job, so that usually one replica
// does each; repeating one is harmless.

const (
	// artifactGrace is how long an artifact that is to be unpinned stays pinned: a reader of the
	// version may still be about to ask for it.
	artifactGrace = 10 * time.Second
	// artifactStep is the pause between two ranks.
	artifactStep = 15 * time.Second
	// artifactInterval is the pause between two rounds while there are chores.
	artifactInterval = time.Second
	// choresMax bounds the chores of one round.
	choresMax = 32
)

// The kinds of chore, as they are in the key.
const (
	pinChore  = "pin"
	dropChore = "drop"
)

// chore is one request to make to hoarders.
type chore struct {
	key                              storage.Key
	project, branch, job, kind, root string
}

func choreKey(project, branch, job, kind string) storage.Key {
	return storage.K(chores, project, branch, job, kind)
}

// artifactsToLetGo lists the versions whose artifacts hoarders need not keep any more once v is
// published: those that leave the newest keep versions of the history, and those that are dropped.
// The current version is never among them.
func artifactsToLetGo(before []tnsapi.Version, v tnsapi.Version, keep, keepVersions int) []tnsapi.Version {
	keep = min(keep, keepVersions)
	after := append(slices.Clip(before), v)
	needed := map[string]bool{}
	for _, o := range newestOf(after, keep) {
		needed[o.Job] = true
	}
	var list []tnsapi.Version
	for _, o := range append(newestOf(before, keep), surplus(after, keepVersions)...) {
		if o.Artifact != "" && !needed[o.Job] {
			needed[o.Job] = true // once
			list = append(list, o)
		}
	}
	return list
}

func newestOf(all []tnsapi.Version, n int) []tnsapi.Version {
	list := history(all)
	return list[:min(len(list), n)]
}

// chore adds the chores of a publish to its batch.
func (r registry) chore(batch *storage.Batch, before []tnsapi.Version, v tnsapi.Version) {
	if r.hoarders == nil || !r.hoarders() {
		return
	}
	if v.Artifact != "" {
		batch.Put(choreKey(v.Project, v.Branch, v.Job, pinChore), []byte(v.Artifact))
	}
	for _, o := range artifactsToLetGo(before, v, r.keepArtifacts, r.keep) {
		batch.Put(choreKey(o.Project, o.Branch, o.Job, dropChore), []byte(o.Artifact))
	}
}

// chores lists the stored chores.
func (r registry) chores() ([]chore, error) {
	stored, err := r.store.List(storage.K(chores))
	if err != nil {
		return nil, err
	}
	list := make([]chore, 0, len(stored))
	for _, e := range stored {
		if p := e.Key.Parts(); len(p) == 5 {
			list = append(list, chore{key: e.Key, project: p[1], branch: p[2], job: p[3], kind: p[4], root: string(e.Value)})
		}
	}
	return list, nil
}

// startChores starts the task that does chores, unless it runs.
func (s *Service) startChores() {
	if s.doing || s.env.Presence(hoarderapi.Service) != transport.Somebody {
		return
	}
	s.doing = true
	s.env.Loop.Go("artifacts", func(ctx context.Context) {
		defer func() { s.doing = false }()
		found := map[storage.Key]time.Duration{} // when each was found first
		_ = clock.Every(ctx, s.env.Loop, artifactInterval, func(ctx context.Context) bool {
			return s.doChores(ctx, found)
		}) // ends when there is nothing to do, or with the loop
	})
}

// doChores carries out the chores that are due, and reports whether there are more.
func (s *Service) doChores(ctx context.Context, found map[storage.Key]time.Duration) bool {
	list, err := s.registry.chores()
	if err != nil {
		return true // the disk may recover
	}
	done := 0
	for _, c := range list {
		now := s.env.Loop.Elapsed()
		if _, known := found[c.key]; !known {
			found[c.key] = now
		}
		if done == choresMax || ctx.Err() != nil || now < found[c.key]+s.pauseBefore(c) {
			continue
		}
		done++
		if _, err := s.store.Get(c.key); err != nil {
			continue // another replica has done it
		}
		if err := s.do(ctx, c); err != nil {
			s.env.Log.Info("hoarders were not told of an artifact", "job", c.job, "what", c.kind, "err", err)
			found[c.key] = now + artifactStep
			continue
		}
		delete(found, c.key)
	}
	return len(list) > 0
}

// pauseBefore is how long a replica waits with a chore.
func (s *Service) pauseBefore(c chore) time.Duration {
	pause := time.Duration(s.rank(c.job)) * artifactStep
	if c.kind == dropChore {
		pause += artifactGrace
	}
	return pause
}

// rank is this replica's place among all, another one for each job.
func (s *Service) rank(job string) (place int) {
	replicas, _ := s.env.Wire.Directory().Lookup(tnsapi.Service) // an unknown one does the same, and that is harmless
	return rendezvous.Of(job).Ahead(s.env.Self, replicas)
}

// do makes the request to hoarders, and then deletes the chore.
func (s *Service) do(ctx context.Context, c chore) error {
	owner := tnsapi.ArtifactOwner(c.job)
	var err error
	if c.kind == dropChore {
		err = s.hoarder.Unpin(ctx, hoarderapi.UnpinRequest{Root: c.root, Owner: owner, Seq: hoarderapi.Forever})
	} else {
		err = s.pin(ctx, owner, c.root)
	}
	if err != nil && transport.KindOf(err) != transport.Conflict { // a conflict: it was unpinned meanwhile
		return err
	}
	if c.kind == dropChore {
		s.env.Observe("artifact-let-go", node.F("project", c.project), node.F("branch", c.branch), node.F("job", c.job), node.F("artifact", c.root))
	}
	return storage.Delete(s.store, c.key)
}

// pin makes hoarders keep an artifact that some of them hold, for an owner and without expiry.
func (s *Service) pin(ctx context.Context, owner, root string) error {
	holders, err := s.hoarder.Locate(ctx, root)
	if err != nil {
		return err
	}
	_, err = s.hoarder.Pin(ctx, hoarderapi.PinRequest{
		Root: root, Kind: hoarderapi.Asset, Holders: holders[:min(len(holders), hoarderapi.HoldersMax)], Owner: owner, Seq: tnsapi.PinSeq,
	})
	return err
}
