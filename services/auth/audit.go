package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// audit writes who has done what. Of more than authapi.AuditMax entries the oldest go.
func (s *Service) audit(by transport.Peer, what, project, object string) error {
	s.audited++
	id := []string{fmt.Sprintf("%020d", s.env.Loop.Now().UnixNano()), s.env.Self.String(), fmt.Sprintf("%010d-%010d", s.env.Incarnation, s.audited)}
	batch := new(storage.Batch)
	batch.Put(storage.K(append([]string{auditPart}, id...)...), transport.Encode(authapi.AuditEntry{
		At: s.env.Loop.Now().UnixNano(), By: by, What: what, Project: project, Object: object, ID: strings.Join(id, "/"),
	}))
	entries := s.store.Entries(storage.K(auditPart))
	for _, e := range entries[:max(0, len(entries)+1-authapi.AuditMax)] {
		batch.Delete(e.Key)
	}
	return s.store.Apply(batch)
}

// listAudit tells who has done what, newest first.
func (s *Service) listAudit(_ context.Context, _ transport.Peer, req authapi.AuditRequest) (resp authapi.AuditResponse, err error) {
	if err := s.Ready(); err != nil {
		return resp, err
	}
	entries := s.store.Entries(storage.K(auditPart))
	for _, e := range slices.Backward(entries) {
		var a authapi.AuditEntry
		if transport.Decode(e.Value, &a) != nil || req.Before != "" && a.ID >= req.Before || req.Project != "" && a.Project != req.Project {
			continue
		}
		if len(resp.List) == authapi.RecordPageMax {
			resp.More = true
			break
		}
		resp.List = append(resp.List, a)
	}
	return resp, nil
}
