package project

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/taucloud/tau/yamltree"
)

// Form is how a project is kept.
type Form string

// The forms: a configuration repository, with a file for each resource, and a single file tau.yaml beside the code.
const (
	Repository Form = "repository"
	Mono       Form = "tau.yaml"
)

// field is a key that files can have: declared once, for reading, printing, the schema and the reference.
type field struct {
	// repo is where a file of a configuration repository has it; the first place is written, all are read, as existing
	// files have it. mono is where tau.yaml has it. "" is: not there.
	repo []string
	mono string
	doc  string
	// example is a value as it is written.
	example string
	// in is a pointer to the field of a resource: to a string, bool, int, Size, Duration, []string or map[string]string.
	// nil: the field is read and has no effect, and ignored says why.
	in      func(r any) any
	ignored string
	rule    rule
	// initial is what is meant if it is left out, as text; words about it for the reference if it is no text.
	initial, meant string
	required       bool
	// ordered is a list in which an item may be twice.
	ordered bool
	secret  bool
	// better: there is nothing like it in tau.
	better bool
	// writeAs says which of repo is written, for a field whose place depends on others; nil: the first.
	writeAs func(r any) string
	// shape is the JSON Schema of a field that is not read by its type; nil: by its type.
	shape map[string]any
}

// rule is what one text of a field must be.
type rule struct {
	// want is what is expected: "a size such as 32MB".
	want string
	// pattern is a regular expression that Go and JSON Schema understand alike; check is beyond that.
	pattern string
	check   func(text string) (wrong string)
	words   []string // the only ones
	fold    bool     // words in any case
	// keys is a rule for the keys of a mapping.
	keys *rule
	// max bounds numbers.
	max  int
	form func() *regexp.Regexp // compiled by the first who needs it
	norm func(string) string
}

// wrong is what is wrong with a text, and a remedy.
func (r *rule) wrong(text string) (what, hint string) {
	word := text
	if r.fold {
		word = strings.ToUpper(text)
	}
	switch {
	case len(r.words) > 0 && !slices.Contains(r.words, word):
		return "expected " + r.want + ", found " + yamltree.Quote(text), yamltree.Suggest(word, r.words)
	case r.form != nil && !r.form().MatchString(text):
		return "expected " + r.want + ", found " + yamltree.Quote(text), ""
	case r.check != nil:
		if wrong := r.check(text); wrong != "" {
			return yamltree.Quote(text) + ": " + wrong, ""
		}
	}
	return "", ""
}

func (r *rule) normal(text string) string {
	if r.norm != nil {
		return r.norm(text)
	}
	return text
}

// path is where a form has a field, "" if it has none.
func (f *field) path(form Form) string {
	if form == Mono {
		return f.mono
	}
	if len(f.repo) == 0 {
		return ""
	}
	return f.repo[0]
}

// paths are all places at which a form has a field.
func (f *field) paths(form Form) []string {
	switch {
	case form == Repository:
		return f.repo
	case f.mono == "":
		return nil
	}
	return []string{f.mono}
}

// name is what messages call it.
func (f *field) name(form Form) string {
	if path := f.path(form); path != "" {
		return path
	}
	return f.path(Repository)
}

// table is a kind of things with fields.
type table struct {
	// kind is the folder, and the key in tau.yaml; one is what a single thing is called.
	kind, one, doc string
	// short is the field that a plain value in tau.yaml is of, "" if there is none.
	short  string
	fields []field
	list   func(s *Scope) []resource // pointers into the scope
	new    func() resource
	add    func(s *Scope, r resource)
	sort   func(s *Scope)
	// finish fills in what depends on other fields, and reports what is wrong with the whole.
	finish func(d *decoder, at *origin, r resource)

	tries map[Form]*trie
}

func (t *table) field(mono string) *field {
	for i := range t.fields {
		if t.fields[i].mono == mono {
			return &t.fields[i]
		}
	}
	return nil
}

// hasSecrets reports whether files of the table can have keys in them.
func (t *table) hasSecrets() bool {
	return slices.ContainsFunc(t.fields, func(f field) bool { return f.secret })
}

// trie has the fields of a table by their paths.
type trie struct {
	field *field
	below map[string]*trie
	keys  []string
}

func (t *table) trie(form Form) *trie { return t.tries[form] }

// prepare compiles what the table declares.
func (t *table) prepare() {
	t.tries = map[Form]*trie{}
	for i := range t.fields {
		f := &t.fields[i]
		for r := &f.rule; r != nil; r = r.keys {
			if r.pattern != "" {
				r.form = lazily(r.pattern)
			}
		}
	}
	for _, form := range []Form{Repository, Mono} {
		root := &trie{below: map[string]*trie{}}
		for i := range t.fields {
			for _, path := range t.fields[i].paths(form) {
				root.put(strings.Split(path, "."), &t.fields[i])
			}
		}
		t.tries[form] = root
	}
}

func (n *trie) put(path []string, f *field) {
	if len(path) == 0 {
		n.field = f
		return
	}
	if n.below == nil {
		n.below = map[string]*trie{}
	}
	if n.below[path[0]] == nil {
		n.below[path[0]] = &trie{}
		n.keys = append(n.keys, path[0])
	}
	n.below[path[0]].put(path[1:], f)
}

// lazily compiles an expression when it is needed for the first time: nodes and commands that read no project do without.
func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
