package up

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/cmdline"
	"github.com/taucloud/tau/yamltree"
)

// planFormat is that of the plan's file. A plan of another format is not touched.
const planFormat = 1

// nodesMax bounds the nodes of a universe.
const nodesMax = 64

// plan is what a universe is made of; it holds no secret.
type plan struct {
	Format int       `json:"format"`
	Made   time.Time `json:"made"`
	// Cloud is the domain name of its cloud.
	Cloud string `json:"cloud"`
	// Ephemeral: the state goes when the universe ends.
	Ephemeral bool `json:"ephemeral,omitempty"`
	// Chosen: somebody has said which nodes there are; otherwise services that come with a later release get their nodes.
	Chosen bool `json:"chosen,omitempty"`
	// HTTP, Admin and Git are the ports of the universe itself.
	HTTP  int           `json:"http"`
	Admin int           `json:"admin"`
	Git   int           `json:"git"`
	Nodes []plannedNode `json:"nodes"`
}

// plannedNode is one node; Port is where it listens, Door where its gateway does, Hooks where its patrick does, if it has one. They change when somebody else has them.
type plannedNode struct {
	Name     string   `json:"name"`
	Services []string `json:"services"`
	Port     int      `json:"port"`
	Door     int      `json:"door,omitempty"`
	Hooks    int      `json:"hooks,omitempty"`
}

// ports are those of the universe itself.
func (pl *plan) ports() [3]int { return [...]int{pl.HTTP, pl.Admin, pl.Git} }

// runs reports whether it runs a service.
func (n plannedNode) runs(service string) bool { return slices.Contains(n.Services, service) }

// The ports of the first universe; further ones take those that are free.
const (
	firstHTTP  = 7480
	firstAdmin = 7481
	firstGit   = 7482
)

// twice are the services of which a universe has a second node, so that it shows what they do when the first is gone.
var twice = []string{"substrate", "monkey", "hoarder"}

// usualNodes are each service on a node of its own.
func usualNodes() (list []plannedNode) {
	for _, service := range shape.ServiceNames() {
		list = append(list, plannedNode{Name: service, Services: []string{service}})
		if slices.Contains(twice, service) {
			list = append(list, plannedNode{Name: service + "-2", Services: []string{service}})
		}
	}
	return list
}

// chosenNodes reads NAME=SERVICE,SERVICE.
func chosenNodes(texts []string) (list []plannedNode, err error) {
	have := map[string]bool{}
	for _, text := range texts {
		name, services, found := strings.Cut(text, "=")
		if !found || !nameForm.MatchString(name) {
			return nil, fmt.Errorf("--node %.80q: expected NAME=SERVICE,SERVICE, such as one=auth,seer,tns", text)
		}
		n := plannedNode{Name: name, Services: strings.Split(services, ",")}
		if services == "all" {
			n.Services = shape.ServiceNames()
		}
		for _, service := range n.Services {
			if !slices.Contains(shape.ServiceNames(), service) {
				return nil, fmt.Errorf("--node %s: there is no service %q: %s", name, service, yamltree.Suggest(service, shape.ServiceNames()))
			}
			have[service] = true
		}
		if slices.ContainsFunc(list, func(o plannedNode) bool { return o.Name == name }) {
			return nil, fmt.Errorf("--node %s: it is there twice", name)
		}
		list = append(list, n)
	}
	if len(list) > nodesMax {
		return nil, fmt.Errorf("--node: at most %d of them", nodesMax)
	}
	for _, service := range needed {
		if !have[service] {
			return nil, fmt.Errorf("--node: no node runs %s, without which the others do not find each other, or no certificate is renewed", service)
		}
	}
	return list, nil
}

// newPlan is that of a universe which is to be made.
func newPlan(p place, w wishes) (*plan, error) {
	pl := &plan{Format: planFormat, Made: time.Now().UTC().Round(time.Second), Cloud: p.name() + ".localhost", Ephemeral: w.ephemeral, Nodes: usualNodes()}
	if len(w.shape) > 0 {
		pl.Nodes = nil // fit adds them
	}
	if len(w.nodes) > 0 {
		var err error
		if pl.Nodes, err = chosenNodes(w.nodes); err != nil {
			return nil, err
		}
		pl.Chosen = true
	}
	taken := reserved(p)
	for _, one := range []struct {
		port   *int
		wanted int
	}{{&pl.HTTP, firstHTTP}, {&pl.Admin, firstAdmin}, {&pl.Git, firstGit}} {
		if taken[one.wanted] || !cmdline.Free(one.wanted) {
			one.wanted = 0
		}
		port, err := freePort(one.wanted, taken)
		if err != nil {
			return nil, err
		}
		*one.port = port
	}
	return pl, nil
}

// wish changes what was asked for otherwise than it was, of ports that are given by hand.
func (pl *plan) wish(w wishes) (changed bool) {
	for _, one := range []struct {
		has    *int
		wanted int
	}{{&pl.HTTP, w.http}, {&pl.Admin, w.admin}, {&pl.Git, w.git}} {
		if one.wanted != 0 && one.wanted != *one.has {
			*one.has, changed = one.wanted, true
		}
	}
	return changed
}

// grown are the usual nodes of services that the plan has none for: it was made by an earlier release.
func (pl *plan) grown() (changed bool) {
	if pl.Chosen {
		return false
	}
	for _, n := range usualNodes() {
		if !slices.ContainsFunc(pl.Nodes, func(o plannedNode) bool { return o.Name == n.Name }) {
			pl.Nodes, changed = append(pl.Nodes, n), true
		}
	}
	return changed
}

// place gives each node ports that nobody has now: those that it had, if it can.
func (pl *plan) place(taken map[int]bool) error {
	for i := range pl.Nodes {
		n := &pl.Nodes[i]
		ports := []*int{&n.Port}
		if n.runs("gateway") {
			ports = append(ports, &n.Door)
		}
		if n.runs("patrick") {
			ports = append(ports, &n.Hooks)
		}
		for _, port := range ports {
			if taken[*port] || *port != 0 && !cmdline.Free(*port) {
				*port = 0
			}
			var err error
			if *port, err = freePort(*port, taken); err != nil {
				return err
			}
		}
	}
	return nil
}

// reserved are the ports of the other universes, of which each keeps its own.
func reserved(but place) map[int]bool {
	taken := map[int]bool{}
	for _, p := range known() {
		var pl plan
		if p == but || readJSON(p.plan(), &pl) != nil {
			continue
		}
		for _, port := range pl.ports() {
			taken[port] = true
		}
		for _, n := range pl.Nodes {
			taken[n.Port], taken[n.Door], taken[n.Hooks] = true, true, true
		}
	}
	return taken
}

// freePort is the wanted one, or, for 0, one that is free and not taken; it is taken from now on.
func freePort(wanted int, taken map[int]bool) (port int, err error) {
	for port = wanted; port == 0 || taken[port]; {
		if port, err = cmdline.FreePort(); err != nil {
			return 0, err
		}
	}
	taken[port] = true
	return port, nil
}

// readPlan is the plan of a universe that is there, nil if there is none.
func readPlan(p place) (*plan, error) {
	pl := &plan{}
	err := readJSON(p.plan(), pl)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: bring it back from a backup, or begin anew: dreamland clean %s", err, p.name())
	case pl.Format != planFormat:
		return nil, fmt.Errorf("%s is of another release (format %d, this one has %d): use that, or begin anew: dreamland clean %s", p.plan(), pl.Format, planFormat, p.name())
	case len(pl.Nodes) == 0 || len(pl.Nodes) > nodesMax:
		return nil, fmt.Errorf("%s has %d nodes, expected 1 to %d: bring it back from a backup, or begin anew: dreamland clean %s", p.plan(), len(pl.Nodes), nodesMax, p.name())
	}
	for _, n := range pl.Nodes {
		if !nameForm.MatchString(n.Name) {
			return nil, fmt.Errorf("%s is damaged: %.64q is no name of a node: bring it back from a backup, or begin anew: dreamland clean %s", p.plan(), n.Name, p.name())
		}
	}
	return pl, nil
}

func writeFile(path string, content []byte) error { return taulive.WriteFile(path, content) }

// secret makes one of so many bytes.
func secret(n int) []byte {
	raw := make([]byte, n)
	_, _ = rand.Read(raw)
	return raw
}

// keep reads a secret of a file, which is made if it is not there.
func keep(path string, make func() string) (string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text := make()
		return text, writeFile(path, []byte(text+"\n"))
	}
	if err == nil {
		err = forOneself(path)
	}
	return strings.TrimSpace(string(raw)), err
}

// forOneself refuses a file of secrets that others may read.
func forOneself(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is a secret and others may read it: chmod 600 %s", path, path)
	}
	return err
}

func newToken() string { return "dreamland-" + hex.EncodeToString(secret(20)) }

func newKey() string { return base64.StdEncoding.EncodeToString(secret(shape.KeyLen)) }
