package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// session is one run of the command.
type session struct {
	*options
	tree     string
	court    *court
	record   *record
	report   *report
	progress *progress
	sample   []*mutation
}

func (o *options) run(ctx context.Context) (code int, err error) {
	s := &session{options: o, progress: newProgress(os.Stderr)}
	if err := s.open(ctx); err != nil {
		return 0, err
	}
	if o.list {
		for _, m := range s.sample {
			before, after := m.diff(o.root)
			fmt.Printf("%s  %s:%d  %s  %s\n  - %s\n  + %s\n", m.name(), m.File, m.line, m.Function, m.Rule, before, after)
		}
		return 0, nil
	}
	err = s.tryAll(ctx)
	s.progress.end()
	if err != nil {
		return 0, err
	}
	if o.json {
		err = s.report.printJSON(os.Stdout)
	} else {
		s.report.print(os.Stdout, o.root)
	}
	if score(s.report.noticed(), len(s.report.results)) < o.min {
		return 1, err
	}
	return 0, err
}

// open rewrites the code, draws the sample and reads what is known of it.
func (s *session) open(ctx context.Context) (err error) {
	s.progress.show("making mutants")
	if s.tree, err = fingerprint(s.root); err != nil {
		return err
	}
	if err := s.makeRoom(); err != nil {
		return err
	}
	b, err := prepare(s.root, filepath.Join(s.state, s.tree))
	if err != nil {
		return err
	}
	aside, err := setAside(s.asideFile)
	if err != nil {
		return err
	}
	s.report = &report{mutations: map[string]*mutation{}, unfit: map[string]string{}, stale: stale(aside, b.mutations)}
	for _, m := range b.mutations {
		s.report.mutations[m.key()] = m
	}
	if err := s.choose(b, aside); err != nil {
		return err
	}
	s.court = &court{build: b, by: strings.Fields(s.by), swarmSeeds: s.swarm, costMax: s.costMax, memory: s.memory,
		units: map[string][]*trial{}, noticed: map[string]int{}, unfit: s.report.unfit}
	if s.court.importers, err = testers(ctx, s.root); err != nil {
		return err
	}
	s.record, err = openRecord(filepath.Join(s.state, "results.jsonl"), s.tree, func(folder, trial string) { s.court.noticed[folder+" "+trial]++ })
	return err
}

func (s *session) choose(b *build, aside map[string]equivalent) error {
	n := s.options.sample
	if n == 0 {
		n = len(b.mutations)
	}
	s.sample, s.report.equivalents = draw(b.mutations, s.packages, s.seed, n, aside)
	if len(s.only) > 0 {
		s.sample, s.report.equivalents = nil, nil
		for _, m := range b.mutations {
			if slices.Contains(s.only, m.name()) {
				s.sample = append(s.sample, m)
			}
		}
	}
	if len(s.sample) == 0 {
		return errors.New("no mutants there: -pkg takes patterns like services/... storage")
	}
	return nil
}

// makeRoom deletes the builds of other trees.
func (s *session) makeRoom() error {
	builds, err := filepath.Glob(filepath.Join(s.state, "*", "overlay.json"))
	if err != nil {
		return err
	}
	for _, b := range builds {
		if dir := filepath.Dir(b); filepath.Base(dir) != s.tree {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// tryAll runs the sample, a few mutants at a time. The results are in the order
// of the sample.
func (s *session) tryAll(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := make([]result, len(s.sample))
	next := make(chan int)
	var mu sync.Mutex // of the record and the progress
	var workers sync.WaitGroup
	done, noticed := 0, 0
	for range s.jobs {
		workers.Go(func() {
			for i := range next {
				one, err := s.tryOne(ctx, s.sample[i], &mu)
				if err != nil {
					cancel(err)
					continue
				}
				mu.Lock()
				results[i] = one
				done++
				if one.Noticed {
					noticed++
				}
				s.progress.show("%d of %d mutants, %d noticed, last by %s", done, len(s.sample), noticed, one.By)
				mu.Unlock()
			}
		})
	}
	for i := range s.sample {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	s.report.results = results
	return context.Cause(ctx)
}

// tryOne tells what becomes of a mutant, from the record if that knows.
func (s *session) tryOne(ctx context.Context, m *mutation, mu *sync.Mutex) (result, error) {
	mu.Lock()
	one, known := s.record.known[m.key()]
	mu.Unlock()
	if known && !s.again && (one.Noticed || one.Asked == s.asked()) {
		return one, nil
	}
	began := time.Now()
	found, err := s.court.try(ctx, m)
	if err != nil {
		return one, fmt.Errorf("%s:%d %s: %w", m.File, m.line, m.Rule, err)
	}
	one = result{Tree: s.tree, Asked: s.asked(), identity: m.identity, Name: m.name(), Line: m.line, finding: found, Seconds: time.Since(began).Seconds()}
	mu.Lock()
	defer mu.Unlock()
	return one, s.record.add(one)
}

// asked says who was asked: a survivor of few trials may be noticed by more.
func (s *session) asked() string { return fmt.Sprintf("%s %d %s", s.by, s.swarm, s.costMax) }
