package substrate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/substrate/site"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

const (
	// smallMax is up to which size a bundle is kept in memory as well, in bytes.
	smallMax = 1 << 20
	// failedFor is for how long a bundle that could not be fetched is not asked for again.
	failedFor = time.Second
	// dagExtra is what the DAG of a bundle has beside its content, at most, in bytes.
	dagExtra = 1 << 20
)

// bundle is what a version's assets are in, on this disk.
type bundle struct {
	root storage.CID
	size int64
	used time.Duration // when it was asked for last
	mind []byte        // all of it, nil if it is not in memory
	gone bool          // from here; who reads it goes on
}

// forgetBundles removes what an earlier run of this node has left: what is wanted is fetched when it is asked for.
func (s *Service) forgetBundles() error {
	for _, root := range s.env.Blocks.Roots() {
		if err := s.env.Blocks.Remove(root); err != nil {
			return err
		}
	}
	return nil
}

// load makes the assets of a release be here. However many wait for it, they are fetched once; who gives up does not end that.
func (s *Service) load(ctx context.Context, r *release) error {
	if r.bundle != nil && !r.bundle.gone {
		r.bundle.used = s.env.Loop.Elapsed()
		return nil
	}
	if r.failed != nil && s.env.Loop.Elapsed() < r.again {
		return r.failed
	}
	if r.loading == nil {
		loading := &gate{}
		r.loading = loading
		s.env.Loop.Go("substrate fetch", func(ctx context.Context) {
			r.failed = s.fetch(ctx, r)
			r.again = s.env.Loop.Elapsed() + failedFor
			r.loading = nil
			loading.opens()
		})
	}
	if err := r.loading.wait(ctx, s.env.Loop); err != nil {
		return err
	}
	return r.failed
}

// fetch brings a bundle here and looks into it.
func (s *Service) fetch(ctx context.Context, r *release) error {
	if !r.root.Defined() {
		return transport.New(transport.NotFound, "fetch", "the version has no artifact")
	}
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, s.settings.FetchTimeout)
	defer cancel()
	if err := beforeFetch.Hit(ctx, s.env); err != nil {
		return err
	}
	began := s.env.Loop.Elapsed()
	b := s.bundles[r.root.KeyString()]
	if b == nil {
		if err := s.fetchFrom(ctx, r.root); err != nil {
			return err
		}
		size, err := s.env.Blocks.Size(r.root)
		if err != nil {
			return err
		}
		if b = s.bundles[r.root.KeyString()]; b == nil { // nobody else was faster
			b = &bundle{root: r.root, size: size, used: s.env.Loop.Elapsed()}
			s.bundles[r.root.KeyString()] = b
			s.cached += size
			s.env.Observe("bundle-fetched", node.F("project", r.version.Project), node.F("commit", r.version.Commit), node.F("bytes", size), node.F("took", s.env.Loop.Elapsed()-began))
		}
	}
	if err := s.look(ctx, r, b); err != nil {
		return err
	}
	b.used = s.env.Loop.Elapsed()
	r.bundle = b
	s.makeRoom(b)
	return nil
}

// fetchFrom asks those who are said to hold a bundle, and then whoever may.
func (s *Service) fetchFrom(ctx context.Context, root storage.CID) error {
	holders, located := s.hoarder.Locate(ctx, root.String())
	if located == nil && len(holders) > 0 {
		err := s.env.Blocks.Fetch(ctx, root, holders, build.BundleLenMax+dagExtra)
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	all, _ := s.env.Wire.Directory().Lookup(hoarderapi.Service)
	if len(all) == 0 {
		return transport.New(transport.Unreachable, "fetch", "no hoarder is known")
	}
	return s.env.Blocks.Fetch(ctx, root, all, build.BundleLenMax+dagExtra)
}

// look reads which files the websites of a release have, and whether they are what was built.
func (s *Service) look(ctx context.Context, r *release, b *bundle) error {
	content, err := s.open(b)
	if err != nil {
		return err
	}
	defer content.Close()
	sites, mind := map[*target]*site.Site{}, b.mind
	left := clock.Offload(ctx, s.env.Loop, func() {
		at := &readerAt{content}
		if mind == nil && b.size <= smallMax {
			if mind, err = io.ReadAll(content); err != nil {
				return
			}
		}
		for _, path := range slices.Sorted(maps.Keys(r.targets)) {
			t := r.targets[path]
			if t.website == nil || t.asset == nil {
				continue
			}
			if sites[t], err = readSite(at, t); err != nil {
				err = fmt.Errorf("%s: %w", path, err)
				return
			}
		}
	})
	if left != nil {
		return left
	}
	if err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(r.targets)) {
		t := r.targets[path]
		read := sites[t]
		if read == nil {
			continue
		}
		t.site = read
		for _, w := range read.Warnings {
			s.env.Log.Debug("a line of a website is left out", "project", r.version.Project, "website", t.path, "line", w)
		}
	}
	if b.mind == nil && mind != nil && !b.gone {
		b.mind = mind
		s.inMind += int64(len(mind))
	}
	return nil
}

func readSite(bundle io.ReaderAt, t *target) (*site.Site, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(bundle, t.asset.Offset, t.asset.Size)); err != nil {
		return nil, err
	}
	if hex.EncodeToString(h.Sum(nil)) != t.asset.Hash {
		return nil, fmt.Errorf("the bundle has something else in its place")
	}
	return site.Read(io.NewSectionReader(bundle, t.asset.Offset, t.asset.Size), t.asset.Size, t.website.SPA)
}

// open returns the content of a bundle, for one reader, which keeps it from being removed.
func (s *Service) open(b *bundle) (io.ReadSeekCloser, error) {
	if b.mind != nil {
		return nopCloser{bytes.NewReader(b.mind)}, nil
	}
	content, err := s.env.Blocks.Open(b.root)
	if err != nil && !b.gone { // the disk has lost it
		s.retire(b)
	}
	return content, err
}

// nopCloser is a reader of memory.
type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

// readerAt reads a reader that seeks, for one reader at a time.
type readerAt struct{ io.ReadSeeker }

func (r *readerAt) ReadAt(p []byte, off int64) (int, error) {
	if _, err := r.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(r, p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// makeRoom lets go of what was not asked for for longest, until the rest is within its bounds; never of keep.
func (s *Service) makeRoom(keep *bundle) {
	list := slices.SortedFunc(maps.Values(s.bundles), func(a, b *bundle) int {
		if a.used != b.used {
			return int(max(-1, min(1, a.used-b.used)))
		}
		return strings.Compare(a.root.KeyString(), b.root.KeyString())
	})
	for _, b := range list {
		if s.inMind > s.settings.MemorySize && b.mind != nil {
			s.inMind -= int64(len(b.mind))
			b.mind = nil
		}
		if s.cached > s.settings.CacheSize && b != keep {
			s.retire(b)
		}
	}
}

// retire lets go of a bundle.
func (s *Service) retire(b *bundle) {
	if b.gone {
		return
	}
	b.gone = true
	delete(s.bundles, b.root.KeyString())
	s.cached -= b.size
	s.inMind -= int64(len(b.mind))
	b.mind = nil
	if err := s.env.Blocks.Remove(b.root); err != nil {
		s.env.Log.Warn("assets could not be removed", "root", b.root.String(), "err", err)
	}
}
