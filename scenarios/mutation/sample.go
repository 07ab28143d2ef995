package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// equivalent is a mutant that makes no difference, set aside by hand.
type equivalent struct {
	identity
	Reason string
}

// entry is how one stands in the file.
type entry struct {
	File, Function, Rule, Text string
	Nth                        int
	Reason                     string
}

// setAside reads the mutants that make no difference, by key.
func setAside(file string) (map[string]equivalent, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []entry
	if err := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict()).Decode(&list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	all := map[string]equivalent{}
	for _, one := range list {
		e := equivalent{identity{one.File, one.Function, one.Rule, one.Text, max(one.Nth, 1)}, one.Reason}
		switch {
		case e.Reason == "":
			return nil, fmt.Errorf("%s: %s %q has no reason", file, e.File, e.Text)
		case all[e.key()].Reason != "":
			return nil, fmt.Errorf("%s: %s %q stands there twice", file, e.File, e.Text)
		}
		all[e.key()] = e
	}
	return all, nil
}

// stale lists what is set aside and does not exist any more.
func stale(aside map[string]equivalent, all []*mutation) (gone []equivalent) {
	there := map[string]bool{}
	for _, m := range all {
		there[m.key()] = true
	}
	for key, e := range aside {
		if !there[key] {
			gone = append(gone, e)
		}
	}
	slices.SortFunc(gone, func(a, b equivalent) int { return cmp.Compare(a.key(), b.key()) })
	return gone
}

// selected reports whether a package is below one of some patterns, as the go
// command writes them: services/..., storage.
func selected(folder string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		p = strings.TrimPrefix(p, "./")
		room, below := strings.CutSuffix(p, "/...")
		return folder == room || below && strings.HasPrefix(folder, room+"/")
	})
}

// draw returns up to n mutants that are not set aside, and those that were drawn
// with them and are. A mutant's place in the order depends on its identity and
// the seed only: changes elsewhere leave a sample as it is.
func draw(all []*mutation, patterns []string, seed uint64, n int, aside map[string]equivalent) (sample, equivalents []*mutation) {
	var pool []*mutation
	rank := map[*mutation]uint64{}
	for _, m := range all {
		if selected(m.folder(), patterns) {
			sum := sha256.Sum256(fmt.Appendf(nil, "%d\x00%s", seed, m.key()))
			rank[m] = binary.BigEndian.Uint64(sum[:])
			pool = append(pool, m)
		}
	}
	slices.SortFunc(pool, func(a, b *mutation) int { return cmp.Compare(rank[a], rank[b]) })
	for _, m := range pool {
		if len(sample) == n {
			break
		}
		if _, set := aside[m.key()]; set {
			equivalents = append(equivalents, m)
		} else {
			sample = append(sample, m)
		}
	}
	return sample, equivalents
}
