package patrick

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage"
)

// What has become of a commit is told to its forge by the coordinator of its branch: pending, then success or failure. What was told is
// kept, so that after a restart the rest is. A forge that does not take it is told again, for about an hour.

const (
	reportEvery = 2 * time.Second
	// reportTriesMax bounds how often a status is reported that the forge does not take; the pauses double up to reportPauseMax.
	reportTriesMax = 20
	reportPauseMax = 5 * time.Minute
)

// reporting is a status that the forge has to be told of.
type reporting struct {
	tries int
	due   time.Duration // not before, in Elapsed
}

func statusKey(job string) storage.Key { return storage.K("status", job) }

// statusOf is what a forge is to show of a job, "" for nothing.
func statusOf(state State) (word, text string) {
	switch {
	case !state.Spec.Forge || state.Spec.Commit == patrickapi.NoCommit || state.Status == patrickapi.Unknown:
		return "", ""
	case state.Status == patrickapi.Success:
		return "success", "it is published"
	case state.Status == patrickapi.Cancelled:
		return "failure", "cancelled"
	case state.Status == patrickapi.Failed:
		return "failure", "it failed"
	}
	return "pending", "it is being built"
}

// wantReport has the forge told of a job, if it has not been.
func (s *Service) wantReport(id string, state State) {
	word, _ := statusOf(state)
	if word == "" || s.looks.forge == nil || s.reported(id) == word {
		return
	}
	s.reports[id] = &reporting{due: s.env.Loop.Elapsed()}
	if s.reporting {
		return
	}
	s.reporting = true
	s.env.Loop.Go("report to forges", func(ctx context.Context) {
		defer func() { s.reporting = false }()
		_ = clock.Every(ctx, s.env.Loop, reportEvery, func(ctx context.Context) bool {
			for _, id := range slices.Sorted(maps.Keys(s.reports)) {
				if r := s.reports[id]; r != nil && s.env.Loop.Elapsed() >= r.due && ctx.Err() == nil {
					s.reportOnce(ctx, id, r)
				}
			}
			return len(s.reports) > 0
		}) // ends when all is told, or with the loop
	})
}

// reported is what a forge was told last of a job.
func (s *Service) reported(id string) string {
	raw, err := s.store.Get(statusKey(id))
	if err != nil {
		return ""
	}
	return string(raw)
}

// reportOnce tells a forge of a job, or lets it be: it is another's, was told, or is forgotten.
func (s *Service) reportOnce(ctx context.Context, id string, r *reporting) {
	state := s.read(id)
	word, text := statusOf(state)
	if word == "" || s.reported(id) == word {
		s.toldOf(id, r)
		return
	}
	if _, mine, err := s.peers.coordinator(ctx, patrickapi.BranchOf(id)); err == nil && !mine {
		s.toldOf(id, r)
		return
	}
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, forgeTimeout)
	defer cancel()
	f, err := s.looks.auth.Forge(ctx, state.Spec.Repository)
	if err == nil && f.Token == "" {
		s.toldOf(id, r)
		return
	}
	if err == nil {
		err = s.report(ctx, f, CommitStatus{Commit: state.Spec.Commit, State: word, Text: text, Job: id})
	}
	if err == nil {
		err = storage.Put(s.store, statusKey(id), []byte(word))
	}
	if err == nil {
		s.env.Observe("status-told", node.F("job", id), node.F("status", word))
		r.due = s.env.Loop.Elapsed() // and whether it has changed meanwhile, the next time
		r.tries = 0
		return
	}
	s.env.Log.Info("a forge was not told what became of a commit", "job", id, "err", err)
	if r.tries++; r.tries >= reportTriesMax {
		s.toldOf(id, r)
		return
	}
	r.due = s.env.Loop.Elapsed() + min(reportPauseMax, reportEvery<<min(r.tries, 10))
}

func (s *Service) report(ctx context.Context, f authapi.ForgeResponse, c CommitStatus) error {
	return s.looks.forge.Report(ctx, remote(f), c)
}

// toldOf ends the wish to tell a forge of a job, unless there is a newer one.
func (s *Service) toldOf(id string, r *reporting) {
	if s.reports[id] == r {
		delete(s.reports, id)
	}
}
