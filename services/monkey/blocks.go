package monkey

import (
	"context"
	"slices"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
)

// A monkey keeps no blocks after an attempt: once it has been reported, the artifact is on hoarders
// and the log on patricks. Two attempts may use the same tree, so uses are counted. In a cloud
// without hoarders nobody else has the artifacts: then the last artifactsMax are kept.

// artifactsMax is how many artifacts a monkey keeps in a cloud without hoarders.
const artifactsMax = 32

// add stores data for an attempt.
func (s *Service) add(ctx context.Context, l *lock, data []byte) (cid.Cid, error) {
	root, err := s.env.Blocks.Add(ctx, data)
	if err == nil {
		s.use(l, root)
	}
	return root, err
}

// use records that an attempt needs a root that is wholly or partly here.
func (s *Service) use(l *lock, root cid.Cid) {
	if !slices.Contains(l.blocks, root) {
		l.blocks = append(l.blocks, root)
		s.uses[root]++
	}
}

// letGo ends the use of all roots of an attempt.
func (s *Service) letGo(l *lock, out outcome) {
	if s.env.Presence(hoarderapi.Service) != transport.Somebody && out.succeeded() && out.artifact.Defined() {
		s.keepArtifact(out.artifact)
	}
	for _, root := range l.blocks {
		s.unuse(root)
	}
	l.blocks = nil
}

func (s *Service) unuse(root cid.Cid) {
	if s.uses[root]--; s.uses[root] > 0 {
		return
	}
	delete(s.uses, root)
	if err := s.env.Blocks.Remove(root); err != nil {
		s.env.Log.Warn("cannot let go of blocks", "root", root, "err", err)
	}
}

// keepArtifact makes an artifact the newest of those that are kept.
func (s *Service) keepArtifact(root cid.Cid) {
	if slices.Contains(s.kept, root) {
		return
	}
	s.uses[root]++
	s.kept = append(s.kept, root)
	if len(s.kept) > artifactsMax {
		s.unuse(s.kept[0])
		s.kept = s.kept[1:]
	}
}

// handOver lets go of the kept artifacts once there are hoarders: whoever wants one kept has told them.
func (s *Service) handOver() {
	if s.env.Presence(hoarderapi.Service) != transport.Somebody {
		return
	}
	kept := s.kept
	s.kept = nil
	for _, root := range kept {
		s.unuse(root)
	}
}

// forgetBlocks removes the blocks of earlier incarnations, whose attempts are forgotten.
func (s *Service) forgetBlocks() {
	for _, root := range s.env.Blocks.Roots() {
		if s.env.Presence(hoarderapi.Service) != transport.Somebody {
			s.keepArtifact(root)
			continue
		}
		s.unuse(root)
	}
}
