package patrick

import (
	"slices"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// load rebuilds the board from the store.
func (s *Service) load() {
	for _, e := range s.store.Entries(pastKey()) {
		s.recall(e.Key)
	}
	var ids []string
	for _, e := range s.store.Entries(jobsKey()) {
		if id, ok := jobOf(e.Key); ok {
			ids = append(ids, id)
		}
	}
	for _, id := range slices.Compact(ids) {
		s.refresh(id)
	}
}

// records reads what is stored of a job. Undecodable records are left out: a newer release may have
// written them.
func (s *Service) records(id string) (list []record) {
	for _, e := range s.store.Entries(jobKey(id)) {
		r, err := decoded.Of(e.Key, e.Value)
		if err != nil {
			s.env.Log.Warn("left out a record", "err", err)
			continue
		}
		list = append(list, r)
	}
	return list
}

// read resolves the state of a job.
func (s *Service) read(id string) State { return resolve(s.records(id)) }

// addRecords adds records to a job, all or none, together with what follows from
// them: if the job is neither held nor to be tried again, it is closed, unless
// tns must be asked first.
func (s *Service) addRecords(id string, add ...record) error {
	old := s.records(id)
	before, after := resolve(old), resolve(slices.Concat(old, add))
	if v, ok := s.closable(id, after); ok {
		c := closing{Rebuild: after.Rebuilds, Status: v.close, Token: after.Top.Token, Reason: v.reason, By: s.env.Self}
		if j := s.board.active[id]; j != nil {
			c.FencedBelow = j.fencedBelow
		}
		add = append(add, c)
		after = resolve(slices.Concat(old, add))
	}
	if len(add) == 0 {
		return nil
	}
	if err := s.store.Apply(batchOf(id, add...)); err != nil {
		return fault("patrick/write", "job "+id, err)
	}
	s.refresh(id)
	if after.Status.Final() && after.Status != before.Status {
		token := after.Top.Token
		if after.Outcome.Success {
			token = after.Outcome.Token
		}
		s.env.Observe("job-finished", node.F("job", id), node.F("status", after.Status.String()),
			node.F("attempt", token.Attempt), node.F("holder", token.Holder), node.F("artifact", after.Outcome.Artifact), node.F("rebuilds", after.Rebuilds))
	}
	return nil
}

// refresh updates the board from the store after a job has changed, here or elsewhere.
func (s *Service) refresh(id string) {
	state := s.read(id)
	if s.board.memoryOf(id).knows(id) {
		s.forgetAgain(id)
		return
	}
	if state.Status == patrickapi.Unknown {
		s.board.forget(id)
		return
	}
	s.board.update(id, state)
	s.wantReport(id, state)
	if state.Status.Final() {
		s.board.drop(id)
		s.startRetiring()
		s.wantAudit(id, state)
		s.wantContent(id)
		return
	}
	j := s.board.active[id]
	if j == nil {
		j = &active{id: id}
		s.board.active[id] = j
	}
	s.follow(j, state)
	s.arm(j)
	s.wantContent(id)
}

// forgetAgain drops a job that has ended and was forgotten, here or elsewhere. Records of it that
// have arrived since are scheduled for deletion.
func (s *Service) forgetAgain(id string) {
	s.board.forget(id)
	delete(s.leftovers, id)
	if len(s.store.Entries(jobKey(id))) > 0 {
		s.leftovers[id] = true
		s.startRetiring()
	}
}
