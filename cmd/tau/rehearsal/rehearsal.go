// Package rehearsal is what a node of the real world is told that takes part in a rehearsal (dreamland live): a
// story about a cloud, carried out by real processes. It differs from any other node in this alone: its services have the story's
// settings, its builder is the simulator's, it dials through a relay that knows who dials whom, it reports facts, and it
// takes orders - failpoints, a disk that is full - from whoever has started it, with whom it ends.
package rehearsal

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/goccy/go-yaml"

	"github.com/taucloud/tau/node"
)

// The descriptors that a node inherits.
const (
	// FactsFD takes facts, a line each, as the admin socket answers with (package cmd/tau/live). What was written there survives a kill -9.
	FactsFD = 3
	// OrdersFD has orders, a line each ([Order]). Its end is that of whoever gave them: the node ends at once.
	OrdersFD = 4
)

// fileLenMax bounds the file of a rehearsal, lineLenMax a line of facts or orders, in bytes.
const (
	fileLenMax = 1 << 20
	lineLenMax = 1 << 20
)

// Rehearsal is the file that tau start --rehearsal reads, as YAML.
type Rehearsal struct {
	// Settings are those of services and agents, by name: YAML of what their Spec declares; of others the defaults count.
	Settings map[string]string `yaml:"settings"`
	// Relay is the address of the relay: host:port. "": the node dials by itself.
	Relay string `yaml:"relay"`
	// Orders are in force from the start.
	Orders []Order `yaml:"orders"`
}

// Load reads a file.
func Load(path string) (*Rehearsal, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, fileLenMax))
	if err != nil {
		return nil, err
	}
	r := &Rehearsal{}
	if err := yaml.UnmarshalWithOptions(raw, r, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Save writes it to a file that only this user may read.
func (r *Rehearsal) Save(path string) error {
	raw, err := yaml.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o600)
}

// Say adds the settings of a service, as its Spec decodes them; nil leaves the defaults.
func (r *Rehearsal) Say(service string, settings any) error {
	if settings == nil {
		return nil
	}
	raw, err := yaml.Marshal(settings)
	if err != nil {
		return fmt.Errorf("settings of %s: %w", service, err)
	}
	if r.Settings == nil {
		r.Settings = map[string]string{}
	}
	r.Settings[service] = string(raw)
	return nil
}

// Configure is a spec with the settings that the rehearsal has for it.
func (r *Rehearsal) Configure(spec node.Spec) (node.Configured, error) {
	text, is := r.Settings[spec.Name]
	if !is {
		return node.Configured{Spec: spec}, nil
	}
	settings, err := spec.Decode(func(into any) error { return yaml.UnmarshalWithOptions([]byte(text), into, yaml.Strict()) })
	return node.Configured{Spec: spec, Settings: settings}, err
}

// Order changes the world of a node while it runs.
type Order struct {
	// Failpoint is a rule that begins, under a number; with Over, the rule of that number ends.
	Failpoint string `yaml:"failpoint,omitempty" json:"failpoint,omitempty"`
	Do        string `yaml:"do,omitempty" json:"do,omitempty"`
	Times     int    `yaml:"times,omitempty" json:"times,omitempty"`
	Number    int    `yaml:"number,omitempty" json:"number,omitempty"`
	Over      bool   `yaml:"over,omitempty" json:"over,omitempty"`
	// Disk is "full" or "sound".
	Disk string `yaml:"disk,omitempty" json:"disk,omitempty"`
}

// WriteOrder sends an order.
func WriteOrder(w io.Writer, o Order) error { return WriteLine(w, o) }

// ReadOrders hands orders to f, until there are no more.
func ReadOrders(r io.Reader, f func(Order)) error {
	return ReadLines(r, func(line []byte) error {
		var o Order
		err := json.Unmarshal(line, &o)
		if err == nil {
			f(o)
		}
		return err
	})
}

// WriteLine writes v as JSON, at once.
func WriteLine(w io.Writer, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(raw, '\n'))
	return err
}

// ReadLines hands lines to f, until there are no more or f returns an error. A line has 1 MiB at most.
func ReadLines(r io.Reader, f func(line []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), lineLenMax)
	for lines.Scan() {
		if err := f(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}
