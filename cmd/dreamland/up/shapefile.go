package up

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/yamltree"
)

// A file of nodes says what a universe is made of:
//
//	nodes:
//	  - name: core
//	    services: [auth, seer, tns]
//	  - name: store
//	    services: [hoarder]
//	    copies: 3      # store, store-2, store-3

// nodesDialect bounds such a file.
var nodesDialect = yamltree.Dialect{
	LenMax: 64 << 10, Nesting: 5, Keys: 4 * nodesMax,
	Large: "a universe has few nodes", Empty: "begin with nodes:", Excess: "a universe has few nodes",
	Alias: "write the value out where it is used", Several: "a file is about one universe: remove what follows",
}

// shapedNode is a node that a file says there is to be, with where it says so.
type shapedNode struct {
	plannedNode
	at yamltree.Error // File, Line and Col
}

// says makes an error of what is wrong with it.
func (n shapedNode) says(hint, format string, args ...any) error {
	e := n.at
	e.What, e.Hint = fmt.Sprintf(format, args...), hint
	return &e
}

// readNodes reads a file of nodes. Of a file that is wrong it tells all mistakes, with their places.
func readNodes(path string) ([]shapedNode, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--shape: %w", err)
	case info.Size() > int64(nodesDialect.LenMax):
		return nil, yamltree.TooLarge(path, info.Size(), nodesDialect)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--shape: %w", err)
	}
	root, errs := yamltree.Read(path, raw, nodesDialect)
	r := &nodesReader{file: path, lines: strings.Split(string(raw), "\n"), errors: errs}
	if root != nil {
		r.read(root)
	}
	if len(r.errors) == 0 {
		return r.nodes, nil
	}
	slices.SortStableFunc(r.errors, func(a, b *yamltree.Error) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col)) })
	return nil, r.errors
}

type nodesReader struct {
	file   string
	lines  []string
	nodes  []shapedNode
	errors yamltree.Errors
}

func (r *nodesReader) at(v *yamltree.Value) yamltree.Error {
	e := yamltree.Error{File: r.file, Line: v.Line, Col: v.Col}
	if v.Line <= len(r.lines) {
		e.Source = r.lines[v.Line-1]
	}
	return e
}

func (r *nodesReader) fail(v *yamltree.Value, hint, format string, args ...any) {
	e := r.at(v)
	e.What, e.Hint = fmt.Sprintf(format, args...), hint
	r.errors = append(r.errors, &e)
}

// keyed hands the value of each key that is known to f, and reports whether v is a mapping with those that must be there.
func (r *nodesReader) keyed(v *yamltree.Value, what string, known, needed []string, f func(key string, value *yamltree.Value)) bool {
	if v.Kind != yamltree.Mapping {
		r.fail(v, "write key: value", "expected %s, found %s", what, v)
		return false
	}
	for _, e := range v.Entries {
		if !slices.Contains(known, e.Key.Text) {
			r.fail(e.Key, yamltree.Suggest(e.Key.Text, known), "unknown key %s", yamltree.Quote(e.Key.Text))
			continue
		}
		f(e.Key.Text, e.Value)
	}
	whole := true
	for _, key := range needed {
		if v.Get(key) == nil {
			r.fail(v, "write "+key+": ...", "%s has no %s", what, key)
			whole = false
		}
	}
	return whole
}

func (r *nodesReader) read(root *yamltree.Value) {
	r.keyed(root, "the file", []string{"nodes"}, []string{"nodes"}, func(_ string, list *yamltree.Value) {
		if list.Kind != yamltree.Sequence || len(list.Items) == 0 {
			r.fail(list, "write - name: one", "expected a list of nodes, found %s", list)
			return
		}
		for _, item := range list.Items {
			r.node(item)
		}
		r.whole(list)
	})
}

func (r *nodesReader) node(item *yamltree.Value) {
	n, copies := shapedNode{at: r.at(item)}, 1
	whole := r.keyed(item, "a node", []string{"name", "services", "copies"}, []string{"name", "services"}, func(key string, v *yamltree.Value) {
		switch key {
		case "name":
			n.at = r.at(v)
			if n.Name = v.Text; v.Kind != yamltree.Scalar || !nameForm.MatchString(v.Text) {
				r.fail(v, "lower-case letters, digits and -, a letter first, at most 32", "%s is no name of a node", v)
			}
		case "services":
			n.Services = r.services(v)
		case "copies":
			count, err := strconv.Atoi(v.Text)
			if v.Kind != yamltree.Scalar || err != nil || count < 1 || count > nodesMax {
				r.fail(v, "", "expected a number from 1 to %d, found %s", nodesMax, v)
				return
			}
			copies = count
		}
	})
	for i := range copies {
		one := n
		if i > 0 {
			one.Name = fmt.Sprintf("%s-%d", n.Name, i+1)
		}
		if whole && slices.ContainsFunc(r.nodes, func(o shapedNode) bool { return o.Name == one.Name }) {
			e := one.says("each node has a name of its own", "a node %s is there already", one.Name).(*yamltree.Error)
			r.errors = append(r.errors, e)
			return
		}
		r.nodes = append(r.nodes, one)
	}
}

func (r *nodesReader) services(v *yamltree.Value) (list []string) {
	if v.Kind == yamltree.Scalar && v.Text == "all" {
		return shape.ServiceNames()
	}
	if v.Kind != yamltree.Sequence || len(v.Items) == 0 {
		r.fail(v, "write [auth, seer], or all", "expected a list of services, found %s", v)
		return nil
	}
	for _, item := range v.Items {
		switch {
		case item.Kind != yamltree.Scalar || !slices.Contains(shape.ServiceNames(), item.Text):
			r.fail(item, yamltree.Suggest(item.Text, shape.ServiceNames()), "there is no service %s", item)
		case slices.Contains(list, item.Text):
			r.fail(item, "leave one of them out", "service %s is there twice", item)
		default:
			list = append(list, item.Text)
		}
	}
	return list
}

// whole says what the nodes together are not.
func (r *nodesReader) whole(list *yamltree.Value) {
	if len(r.nodes) > nodesMax {
		r.fail(list, "", "%d nodes, at most %d", len(r.nodes), nodesMax)
	}
	for _, service := range needed {
		if len(r.errors) == 0 && !slices.ContainsFunc(r.nodes, func(n shapedNode) bool { return n.runs(service) }) {
			r.fail(list, "add "+service+" to the services of a node", "no node runs %s, without which the others do not find each other, or no certificate is renewed", service)
		}
	}
}

// needed are the services without which there is no cloud.
var needed = []string{"auth", "seer"}

// fit adds to a plan the nodes of a file that it has not. What would take a node away, or its services, is refused: with them goes what they have.
func (pl *plan) fit(universe string, nodes []shapedNode) error {
	if len(nodes) == 0 {
		return nil
	}
	pl.Chosen = true
	for _, n := range nodes {
		i := slices.IndexFunc(pl.Nodes, func(o plannedNode) bool { return o.Name == n.Name })
		if i < 0 {
			pl.Nodes = append(pl.Nodes, n.plannedNode)
			continue
		}
		if has := pl.Nodes[i].Services; !slices.Equal(slices.Sorted(slices.Values(has)), slices.Sorted(slices.Values(n.Services))) {
			return n.says("a node keeps its services, with what they have: name another node, or dreamland clean "+universe+" begins anew",
				"node %s of universe %s runs %s", n.Name, universe, strings.Join(has, ", "))
		}
	}
	for _, o := range pl.Nodes {
		if !slices.ContainsFunc(nodes, func(n shapedNode) bool { return n.Name == o.Name }) {
			e := nodes[0].at
			e.Line, e.Col, e.Source = 1, 1, ""
			e.What, e.Hint = fmt.Sprintf("universe %s has a node %s, which is not here", universe, o.Name), "no node is taken away, with what it has: add it, or dreamland clean "+universe+" begins anew"
			return &e
		}
	}
	if len(pl.Nodes) > nodesMax {
		return fmt.Errorf("--shape: universe %s would have %d nodes, at most %d", universe, len(pl.Nodes), nodesMax)
	}
	return nil
}

// nodesSchema is the JSON Schema of the file.
func nodesSchema() map[string]any {
	service := map[string]any{"type": "string", "enum": shape.ServiceNames()}
	node := map[string]any{
		"type": "object", "additionalProperties": false, "required": []string{"name", "services"},
		"properties": map[string]any{
			"name": map[string]any{"type": "string", "pattern": nameForm.String(), "description": "Of the node, and of its part of the universe's directory."},
			"services": map[string]any{"description": "What it runs; all: each service.", "oneOf": []any{
				map[string]any{"const": "all"}, map[string]any{"type": "array", "items": service, "minItems": 1, "uniqueItems": true}}},
			"copies": map[string]any{"type": "integer", "minimum": 1, "maximum": nodesMax, "description": "How many such nodes: NAME, NAME-2 and so on."},
		},
	}
	return map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "The nodes of a universe of dreamland up",
		"type": "object", "additionalProperties": false, "required": []string{"nodes"},
		"properties": map[string]any{"nodes": map[string]any{"type": "array", "items": node, "minItems": 1, "maxItems": nodesMax}},
	}
}
