package scenario

import (
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

// document is a scenario file before its words are looked up.
type document struct {
	Name         string         `yaml:"name" example:"name: lock-race" doc:"of the scenario; default: the file's name"`
	About        string         `yaml:"about" example:"about: Forty pushes and a partition - each job has one outcome." doc:"one sentence for people"`
	Seed         uint64         `yaml:"seed" example:"seed: 42" doc:"draws everything that is left to chance"`
	Duration     time.Duration  `yaml:"duration" example:"duration: 5m" zero:"no" doc:"virtual time under faults; healing comes after it"`
	Wire         string         `yaml:"wire" example:"wire: direct" values:"mocknet direct" doc:"mocknet (libp2p) or direct (in memory, for size)"`
	Schedule     Schedule       `yaml:"schedule" example:"schedule: {pct: {depth: 3}}" doc:"how to choose between what happens at the same instant: uniform, {pct: {depth: 3}} or {delay-bounded: {delays: 5}}"`
	Settings     raw            `yaml:"settings" example:"settings: {seer: {gone-after: 8s}}" doc:"settings of services on all nodes: {service: {key: value}}"`
	Network      networkDoc     `yaml:"network" example:"network: {latency: 5ms..40ms, links: [{between: [core, monkey], loss: 1%}]}" doc:"what links are like without faults"`
	Nodes        []groupDoc     `yaml:"nodes" example:"nodes: [{name: core, count: 3, services: [seer, tns, hoarder], zone: east}, {name: monkey, count: 2, services: [monkey]}]" doc:"the cloud: groups of like nodes"`
	Bootstrap    []raw          `yaml:"bootstrap" example:"bootstrap: [core-1]" doc:"nodes or groups that are told to all: a node that is new finds the cloud by them; default: the first group with seer"`
	Certificates certificateDoc `yaml:"certificates" example:"certificates: {lifetime: 20m}" doc:"what the first certificates of nodes say that sign for nobody else; later ones are as the settings of auth say"`
	Strangers    []groupDoc     `yaml:"strangers" example:"strangers: [{name: mallory}]" doc:"groups of nodes that are no members of the cloud, can connect, and attack"`
	Timeline     []raw          `yaml:"timeline" example:"timeline: [{at: 5s, every: 2s, times: 20, push: {project: hello, branch: main}}, {at: 20s, crash: core-1, for: 10s}]" doc:"what happens, each entry with exactly one verb"`
	Expect       expectDoc      `yaml:"expect" example:"expect: {always: [no-lost-jobs], after-heal: {within: 60s, all: [every-job-final]}, report: {jobs.succeeded: {min: 20}}}" doc:"what must hold"`
}

// raw keeps a value for later.
type raw struct{ *value }

func (r *raw) decode(_ *decoder, v *value) { r.value = v }

var nameForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Parse reads and checks a scenario file. The error is of type [Errors]: all
// that is wrong, each with its place in the file; or it is what is wrong with the words.
func Parse(file string, data []byte, words Vocabulary) (*Scenario, error) {
	if err := words.Sound(); err != nil {
		return nil, err
	}
	d := &decoder{file: file, qualities: Qualities(words), places: words.Places}
	root := d.read(data)
	if root == nil {
		return nil, d.result()
	}
	doc := document{Seed: 1, Wire: Mocknet}
	if root.kind != mapping {
		d.fail(root, "begin with name: and duration:", "a scenario is a mapping, found %s", root)
		return nil, d.result()
	}
	d.into(root, reflect.ValueOf(&doc).Elem(), "a scenario")
	s := &Scenario{
		File: file, Name: doc.Name, About: doc.About, Seed: doc.Seed, Duration: doc.Duration, Wire: doc.Wire, Schedule: doc.Schedule,
		source: root, text: data, services: map[string][]string{},
		Network: Network{Default: fault.Shape{LatencyMin: time.Millisecond, LatencyMax: 5 * time.Millisecond}},
	}
	b := builder{decoder: d, words: &words, scenario: s}
	b.head(root)
	b.nodes(root, &doc)
	b.network(root, &doc.Network)
	b.timeline(doc.Timeline)
	b.expect(&doc.Expect)
	if err := d.result(); err != nil {
		return nil, err
	}
	return s, nil
}

// builder makes a scenario of its document.
type builder struct {
	*decoder
	words    *Vocabulary
	scenario *Scenario
}

func (b *builder) head(root *value) {
	s := b.scenario
	at := func(key string) *value {
		if v := root.get(key); v != nil {
			return v
		}
		return root
	}
	if s.Name == "" && root.get("name") == nil {
		base := filepath.Base(s.File)
		s.Name = strings.TrimSuffix(base, filepath.Ext(base))
	} else if !nameForm.MatchString(s.Name) || len(s.Name) > nameLenMax {
		b.fail(at("name"), "write lower-case words joined by -, such as lock-race", "name: %s is not a name", quote(s.Name))
	}
	if root.get("duration") == nil {
		b.fail(root, "write duration: 5m", "duration is missing")
	} else if s.Duration > DurationMax {
		b.fail(at("duration"), "write at most 720h", "duration: at most %s", DurationMax)
	}
}
