package tracefile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Unknown is a name in a filter of which a trace says nothing.
type Unknown struct {
	// What is "node", "service" or "object".
	What, Name string
	// Known are the names that there are, in order; of objects those that are text.
	Known []string
}

// Error implements error.
func (u *Unknown) Error() string {
	return fmt.Sprintf("there is no %s %q in the trace", u.What, u.Name)
}

// ErrEmpty is that a trace has no line.
var ErrEmpty = errors.New("the trace is empty: expected what dreamland sim --trace writes")

// knownMax bounds the names of each sort that are kept to choose from.
const knownMax = 1 << 16

// known are the names in a trace, as far as a filter asks for such.
type known struct {
	filter  Filter
	names   [3]map[string]bool // nodes, services, objects
	objects bool               // the object was named
}

func newKnown(f Filter) *known {
	return &known{filter: f, names: [3]map[string]bool{{}, {}, {}}}
}

func (k *known) add(l *Line) {
	if k.filter.Node != "" {
		k.keep(0, l.Node)
		if from, to, is := strings.Cut(l.Name, ">"); is && (l.Kind == KindFrame || l.Kind == KindResend || l.Kind == KindMissed) {
			k.keep(0, from)
			k.keep(0, to)
		}
	}
	if k.filter.Service != "" {
		k.keep(1, l.Service)
		if service, _, is := strings.Cut(l.Method, "/"); is {
			k.keep(1, service)
		}
		if l.Kind == KindTimer {
			k.keep(1, l.Name)
		}
	}
	if k.filter.Object == "" || k.objects {
		return
	}
	k.objects = l.Names(k.filter.Object)
	k.keep(2, l.About)
	if l.Kind == KindFact {
		k.keep(2, l.Node)
		for _, f := range l.Fields {
			if f.Text {
				k.keep(2, f.Value)
			}
		}
	}
}

func (k *known) keep(sort int, name string) {
	if name != "" && len(k.names[sort]) < knownMax {
		k.names[sort][name] = true
	}
}

// missing is what a trace of so many lines does not know.
func (k *known) missing(lines int) error {
	if lines == 0 {
		return ErrEmpty
	}
	for sort, asked := range []struct{ what, name string }{{"node", k.filter.Node}, {"service", k.filter.Service}, {"object", k.filter.Object}} {
		if asked.name != "" && !k.names[sort][asked.name] && !(sort == 2 && k.objects) {
			return &Unknown{What: asked.what, Name: asked.name, Known: slices.Sorted(maps.Keys(k.names[sort]))}
		}
	}
	return nil
}
