package rewrite

import (
	"fmt"
	"slices"
)

// callGraph says who calls whom among the functions that a module defines. Its last node stands for all indirect calls: it
// calls every function whose address is taken.
type callGraph struct {
	callees [][]int
}

// survey reads all bodies once: the calls, and what would remain if memory and globals were put back.
func (m *module) survey() (callGraph, []string, error) {
	g := callGraph{callees: make([][]int, len(m.functions)+1)}
	indirect := len(m.functions)
	var remains []string
	work, workMax := 0, branchWorkMax+branchWorkPerByteMax*m.length
	for n, f := range m.functions {
		r := &reader{in: f.body, of: m}
		r.locals()
		var callees []int
		branches := 0
		for r.more() {
			i := r.instruction()
			branches += branchesOf(i.op)
			switch i.op {
			case opCall, opReturnCall:
				if own := int64(i.index) - int64(m.importedOf[Function]); own >= 0 && r.err == nil {
					callees = append(callees, int(own))
				}
			case opCallIndirect, opReturnCallIn:
				callees = append(callees, indirect)
			case opRefFunc:
				m.takeAddress(i.index)
			}
			if (i.op == opMemoryInit || i.op == opDataDrop) && !m.countsData {
				r.failf("data segments are named, and there is no section with their number")
			}
			why := whatRemains(i.op)
			if i.op == opMemoryInit && int64(i.index) < int64(len(m.data)) && m.data[i.index].active() {
				why = "it reads segments that are in its memory already"
			}
			if why != "" && !slices.Contains(remains, why) {
				remains = append(remains, why)
			}
		}
		if r.err != nil {
			return g, nil, inFunction(n, r.err)
		}
		if work += branches * branches; work > workMax {
			return g, nil, inFunction(n, fmt.Errorf("it has %d branches: the functions of this module would take a compiler too long", branches))
		}
		slices.Sort(callees)
		g.callees[n] = slices.Clip(slices.Compact(callees))
	}
	for n, taken := range m.addressTaken {
		if taken {
			g.callees[indirect] = append(g.callees[indirect], n)
		}
	}
	return g, remains, nil
}

// branchesOf is how many branches an instruction becomes.
func branchesOf(op opcode) int {
	switch op {
	case opLoop:
		return 4
	case opBlock, opIf, opBrIf, opBrTable:
		return 1
	}
	return 0
}

// recursive tells for each node whether it can come to itself again: it is in a cycle (Tarjan's strongly connected
// components, without recursion of our own).
func (g callGraph) recursive() []bool {
	t := tarjan{graph: g, order: make([]int, len(g.callees)), low: make([]int, len(g.callees)), open: make([]bool, len(g.callees)),
		recursive: make([]bool, len(g.callees))}
	for node := range g.callees {
		if t.order[node] == 0 {
			t.visit(node)
		}
	}
	return t.recursive
}

type tarjan struct {
	graph     callGraph
	order     []int // of discovery, from 1
	low       []int // the first discovered that can be reached
	open      []bool
	stack     []int
	next      int
	recursive []bool
}

type visit struct{ node, callee int }

func (t *tarjan) discover(node int) visit {
	t.next++
	t.order[node], t.low[node], t.open[node] = t.next, t.next, true
	t.stack = append(t.stack, node)
	return visit{node: node}
}

func (t *tarjan) visit(root int) {
	path := []visit{t.discover(root)}
	for len(path) > 0 {
		v := &path[len(path)-1]
		if callees := t.graph.callees[v.node]; v.callee < len(callees) {
			to := callees[v.callee]
			v.callee++
			switch {
			case t.order[to] == 0:
				path = append(path, t.discover(to))
			case t.open[to]:
				t.low[v.node] = min(t.low[v.node], t.order[to])
				t.recursive[to] = t.recursive[to] || to == v.node
			}
			continue
		}
		node := v.node
		if path = path[:len(path)-1]; len(path) > 0 {
			above := path[len(path)-1].node
			t.low[above] = min(t.low[above], t.low[node])
		}
		if t.low[node] == t.order[node] {
			t.close(node)
		}
	}
}

// close takes the component of a node, its first, from the stack.
func (t *tarjan) close(first int) {
	from := len(t.stack) - 1
	for t.stack[from] != first {
		from--
	}
	component := t.stack[from:]
	t.stack = t.stack[:from]
	for _, node := range component {
		t.open[node] = false
		t.recursive[node] = t.recursive[node] || len(component) > 1
	}
}
