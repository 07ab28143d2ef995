package dreamland

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/sim/sweep"
)

// maker makes up the stories of a swarm, those of a batch from what all batches
// before have come to.
type maker struct {
	flags   *swarmFlags
	swarm   Swarm
	first   uint64
	shard   sweep.Shard
	guide   *sweep.Guide
	batch   uint64              // that stories are of
	stories map[uint64]madeUp   // by offset
	reached map[uint64][]string // by offset, what runs of this batch and later ones reached
}

type madeUp struct {
	text  string
	kinds []string
}

// may reports whether the story at an offset can be made up yet.
func (m *maker) may(offset uint64) (bool, error) {
	if !m.flags.guided {
		return true, nil
	}
	for m.batch < offset/sweep.Batch {
		for o := m.batch * sweep.Batch; o < (m.batch+1)*sweep.Batch; o++ {
			if _, ended := m.reached[o]; m.shard.Has(o) && !ended {
				return false, nil
			}
		}
		if err := m.learn(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// learn takes in what the batch has come to.
func (m *maker) learn() error {
	type learnt struct {
		number  uint64
		story   madeUp
		reached []string
	}
	var all []learnt
	for o := m.batch * sweep.Batch; o < (m.batch+1)*sweep.Batch; o++ {
		if m.shard.Has(o) {
			all = append(all, learnt{m.first + o, m.story(o), m.reached[o]}) // all are made up before any is learnt from
			delete(m.reached, o)
		}
	}
	for _, l := range all {
		fresh := m.guide.Learn(l.number, l.story.kinds, l.reached)
		if len(fresh) == 0 || m.flags.corpus == "" {
			continue
		}
		text := "# reached first: " + strings.Join(fresh, ", ") + "\n" + l.story.text
		if err := writeStory(m.flags.corpus, l.number, text); err != nil {
			return fmt.Errorf("--corpus: %w", err)
		}
	}
	m.batch++
	clear(m.stories)
	return nil
}

// story is the story at an offset of the batch.
func (m *maker) story(offset uint64) madeUp {
	made, here := m.stories[offset]
	if here {
		return made
	}
	n, choice := m.first+offset, m.flags.choice
	if m.flags.guided {
		choice = m.guide.Choose(n, m.swarm.Kinds(), choice)
	}
	made.text, made.kinds = m.swarm.Story(n, choice)
	if m.flags.guided {
		m.stories[offset] = made
	}
	return made
}

func storyFile(dir string, n uint64) string {
	return filepath.Join(dir, fmt.Sprintf("swarm-%d.yaml", n))
}

func writeStory(dir string, n uint64, text string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(storyFile(dir, n), []byte(text), 0o644)
}

// writeAll writes stories that do not follow from results.
func (m *maker) writeAll(dir string) error {
	if m.flags.guided || m.flags.sim.many.open {
		return errors.New("--write: name a range, and no --guided, which chooses by what runs came to")
	}
	for o := range uint64(m.flags.sim.seeds) {
		if !m.shard.Has(o) {
			continue
		}
		if err := writeStory(dir, m.first+o, m.story(o).text); err != nil {
			return fmt.Errorf("--write: %w", err)
		}
	}
	return nil
}

// header names the runs of a swarm: what its stories follow from.
func (m *maker) header() (sweep.Header, error) {
	text, err := json.Marshal(struct {
		Choice sweep.Choice
		Guided bool
		First  uint64
		Shard  sweep.Shard
	}{m.flags.choice, m.flags.guided, m.first, m.shard})
	if err != nil {
		return sweep.Header{}, err
	}
	sum := sha256.Sum256(text)
	return sweep.Header{Scenario: "swarm", SHA256: hex.EncodeToString(sum[:]), Wire: m.flags.sim.wire, Strict: m.flags.sim.strict}, nil
}

// replay is a command that makes up and runs a story again, "" if there is none: what
// a guided swarm makes up depends on what came before.
func (m *maker) replay(offset uint64) string {
	if m.flags.guided {
		return ""
	}
	text := fmt.Sprintf("%s swarm %d..%d --wire %s", words.command(), m.first+offset, m.first+offset, m.flags.sim.wire)
	if len(m.flags.faults) > 0 {
		text += " --faults " + strings.Join(m.flags.faults, ",")
	}
	if len(m.flags.without) > 0 {
		text += " --without " + strings.Join(m.flags.without, ",")
	}
	if m.flags.choice.Rate != 1 {
		text += fmt.Sprintf(" --rate %g", m.flags.choice.Rate)
	}
	if !m.flags.choice.Knobs {
		text += " --knobs=false"
	}
	return text
}

// addSwarm takes in all stories as one tale. Those that fail are written to dir.
func (s *sweeper) addSwarm(m *maker, dir string) error {
	h, err := m.header()
	if err != nil {
		return err
	}
	t := &tale{story: &scenario.Scenario{Name: "swarm"}, wire: h.Wire}
	t.job = func(offset uint64) (job, error) {
		text := []byte(m.story(offset).text)
		story, err := scenario.Parse(storyFile(dir, m.first+offset), text, words.Vocabulary())
		if err != nil {
			return job{}, fmt.Errorf("story %d is none: %w", m.first+offset, err)
		}
		return job{scenario: story, seed: story.Seed, wire: h.Wire, stall: s.flags.stall}, nil
	}
	t.may = m.may
	t.ended = func(offset uint64, r *report.Result) error {
		if m.flags.guided {
			m.reached[offset] = r.Exercised.Reached()
		}
		if r.Verdict == report.Held {
			r.Replay = m.replay(offset) // its file is not kept
			return nil
		}
		if ok, err := m.may(offset); !ok || err != nil || offset/sweep.Batch < m.batch && m.flags.guided {
			return err // of an earlier call, which has written it
		}
		return writeStory(dir, m.first+offset, m.story(offset).text)
	}
	return s.addTale(t, m.first, h)
}
