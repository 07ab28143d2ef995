package project

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/taucloud/tau/project/route"
	"github.com/taucloud/tau/yamltree"
)

// Options are what a project does not know itself.
type Options struct {
	// Project is what the cloud knows the project by; "" is its id, or else its name.
	Project string
	// Generated is the domain below which the cloud gives hosts to projects; "" is DefaultGenerated.
	Generated string
	// Preview is a branch that is not the one in production: then nothing is served at the project's domains but at hosts
	// of the branch's own below Generated.
	Preview string
}

// DefaultGenerated is a domain that each machine takes for itself.
const DefaultGenerated = "tau.localhost"

// Entry is what is published: a path and what it stands for, in CBOR with named fields.
type Entry struct {
	Path  string
	Value []byte
}

// Compiled is what becomes of a project.
type Compiled struct {
	// Entries are sorted by path: "project", "applications/A", "functions/F", "applications/A/functions/F" and so on for each
	// resource, which is encoded as the type of this package; "routes/HOST/N" (a list of [route.Claim] of the host, those
	// that are tried first come first, in parts); "triggers/cron/N", "triggers/pubsub/N", "triggers/p2p/N" (lists of
	// [Trigger], in parts).
	Entries []Entry
	// Claims are the routes once more, in the same order.
	Claims []route.Claim
}

// Trigger is what makes a function run, other than a request.
type Trigger struct {
	// Application whose channels and services are meant, "" for the project's.
	Application string `json:"application,omitempty"`
	// When is a moment, a channel, or a command; Protocol is what the command is of.
	When     string `json:"when"`
	Protocol string `json:"protocol,omitempty"`
	Local    bool   `json:"local,omitempty"`
	// Target is the path of the function's entry.
	Target string `json:"target"`
}

// Bounds of what can be published as one version. They are those of the registry that takes it.
const (
	EntriesMax    = 2048
	PathLenMax    = 512
	VersionLenMax = 1 << 19
	// partLenMax bounds the value of a part of a list, roughly.
	partLenMax = 32 << 10
)

// encoding is deterministic: equal values have equal bytes.
var encoding = func() cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

func encode(v any) []byte {
	var b bytes.Buffer
	if err := encoding.NewEncoder(&b).Encode(v); err != nil {
		panic(fmt.Sprintf("project: %T cannot be encoded: %v", v, err)) // it has plain fields only
	}
	return b.Bytes()
}

// Compile makes entries and claims of a project. It is pure: the same project and options give the same result, byte for
// byte. An error of type [yamltree.Errors] says what is wrong with a project that was not read but made, by the paths of
// its entries.
func Compile(p *Project, o Options) (*Compiled, error) {
	known := o.Project != ""
	o = o.of(p)
	if err := p.sound(o, known); err != nil {
		return nil, err
	}
	c := compiler{project: p, options: o, own: o.own(p), fqdns: p.fqdns(), names: p.names(), triggers: map[string][]Trigger{}}
	c.add("project", header{p.ID, p.Name, p.Description, p.Tags})
	for i := range p.Applications {
		c.add("applications/"+p.Applications[i].Name, p.Applications[i].Base)
	}
	p.each(c.resource)
	c.routes()
	for _, kind := range []string{TriggerCron, TriggerP2P, TriggerPubSub} {
		parts(&c, "triggers/"+kind, c.triggers[kind])
	}
	slices.SortFunc(c.entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	out := &Compiled{Entries: c.entries}
	for _, claim := range c.claims {
		out.Claims = append(out.Claims, claim.Claim)
	}
	return out, nil
}

// of fills in what options of a project leave out.
func (o Options) of(p *Project) Options {
	o.Project = cmp.Or(o.Project, p.ID, p.Name)
	o.Generated = cmp.Or(o.Generated, DefaultGenerated)
	return o
}

// header is the entry of the project itself.
type header struct {
	ID          string   `json:"id,omitempty"`
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Tags        []string `json:"tags,omitempty"`
}

// Fits says what is too much to be published as one version, nil if nothing is.
func (c *Compiled) Fits() error {
	size := 0
	for _, e := range c.Entries {
		size += len(e.Path) + len(e.Value)
		if len(e.Path) > PathLenMax {
			return fmt.Errorf("the path %.40q... has %d bytes, a version takes at most %d", e.Path, len(e.Path), PathLenMax)
		}
	}
	switch {
	case len(c.Entries) > EntriesMax:
		return fmt.Errorf("the project comes to %d entries, a version takes at most %d: split it", len(c.Entries), EntriesMax)
	case size > VersionLenMax:
		return fmt.Errorf("the project comes to %d bytes, a version takes at most %d: split it", size, VersionLenMax)
	}
	return nil
}

// sound checks what reading has checked, for projects that were made otherwise, and hosts, which only options tell.
func (p *Project) sound(o Options, known bool) error {
	var list yamltree.Errors
	report := func(ref Ref, _ string, _ int, hint, what string) {
		list = append(list, &yamltree.Error{File: ref.String(), Line: 1, Col: 1, What: what, Hint: hint})
	}
	p.check(o.own(p), report, func(ref Ref, _ string, _ int) string { return ref.String() })
	p.each(func(ref Ref, r resource) {
		d, is := r.(*Domain)
		if is && foreign(d.FQDN, p, o, known) {
			report(ref, "fqdn", -1, "leave domains out: the project has a host of its own", fmt.Sprintf("fqdn: %s is below %s, where hosts are given by the cloud, and is not the project's", d.FQDN, o.Generated))
		}
		paths, _, _, prefix := served(r)
		for i, path := range paths {
			if _, err := patternOf(path, prefix); err != nil {
				report(ref, "paths", i, "see route.Parse", err.Error())
			}
		}
	})
	if len(list) > 0 {
		return told(list)
	}
	return nil
}

// legacyForm is the first label of a host of an existing project: perhaps words, the last eight characters of its id, and
// a number.
var legacyForm = regexp.MustCompile(`^(?:[a-z0-9][a-z0-9-]*-)?([a-z0-9]{8})[0-9]+$`)

// foreign reports whether a domain name is one that the cloud gives, and not to this project. Such names end in a part of
// the project's identity. Where it is not known by what the cloud knows the project (known is false: somebody validates it),
// those of existing projects pass, too, which end in a part of the id that the project says it has: that alone proves nothing,
// since everybody can write it.
func foreign(fqdn string, p *Project, o Options, known bool) bool {
	name, below := strings.CutSuffix(fqdn, "."+o.Generated)
	switch {
	case !below:
		return fqdn == o.Generated
	case strings.Contains(name, "."):
		return true
	case name == identity(o.Project), strings.HasSuffix(name, "-"+identity(o.Project)):
		return false
	}
	id, m := strings.ToLower(p.ID), legacyForm.FindStringSubmatch(name)
	return known || m == nil || len(id) < 8 || m[1] != id[len(id)-8:]
}

// identity is a part of a host that is one project's only.
func identity(project string) string {
	sum := sha256.Sum256([]byte(project))
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))[:12]
}

// label makes a part of a host of any text.
func label(text string, lenMax int) string {
	out := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, strings.ToLower(text))
	return strings.Trim(out[:min(len(out), lenMax)], "-")
}

// host is where a domain of the project is served, or, for "", the project itself.
func (o Options) host(p *Project, fqdn string) string {
	if fqdn != "" && o.Preview == "" {
		return fqdn
	}
	of := o.Project
	if o.Preview != "" { // what differs in more than its labels gets another host
		of = strings.Join([]string{o.Project, o.Preview, fqdn}, "\x00")
	}
	var words []string
	for _, word := range []string{label(o.Preview, 20), label(p.Name, 28), identity(of)} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, "-") + "." + o.Generated
}

// own is the project's own host in production.
func (o Options) own(p *Project) string {
	o.Preview = ""
	return o.host(p, "")
}

type compiler struct {
	project  *Project
	options  Options
	own      string
	fqdns    map[Ref]string
	names    nameSet
	entries  []Entry
	claims   []patterned
	triggers map[string][]Trigger
}

// patterned is a claim with its pattern.
type patterned struct {
	route.Claim
	pattern route.Pattern
}

func (c *compiler) add(path string, v any) { c.entries = append(c.entries, Entry{path, encode(v)}) }

// resource compiles one resource.
func (c *compiler) resource(ref Ref, r resource) {
	path := ref.String()
	switch r := r.(type) {
	case *Function:
		f := *r
		if library, is := strings.CutPrefix(f.Source, "libraries/"); is {
			f.Source = c.resolve(ref.Application, "libraries", library).String()
		}
		c.add(path, f)
		c.trigger(ref, &f)
	default:
		c.add(path, r)
	}
	paths, methods, domains, prefix := served(r)
	methods = slices.Sorted(slices.Values(methods))
	hosts := hostsFor(ref.Application, domains, c.fqdns, c.own)
	for _, text := range paths {
		pattern, err := patternOf(text, prefix)
		if err != nil {
			continue // sound has refused it
		}
		for _, host := range hosts {
			c.claims = append(c.claims, patterned{route.Claim{
				Host: c.options.host(c.project, host), Path: pattern.String(), Key: pattern.Key(), Methods: methods, Target: path,
			}, pattern})
		}
	}
}

// resolve is what a name means within an application.
func (c *compiler) resolve(application, kind, name string) Ref {
	if own := (Ref{application, kind, name}); c.names[own] {
		return own
	}
	return Ref{"", kind, name}
}

func (c *compiler) trigger(ref Ref, f *Function) {
	add := func(kind, when, protocol string) {
		c.triggers[kind] = append(c.triggers[kind], Trigger{Application: ref.Application, When: when, Protocol: protocol, Local: f.Local, Target: ref.String()})
	}
	for _, moment := range f.Cron {
		add(TriggerCron, moment, "")
	}
	switch f.Type {
	case TriggerPubSub:
		add(TriggerPubSub, f.Channel, "")
	case TriggerP2P:
		add(TriggerP2P, f.Command, f.Protocol)
	}
}

// routes makes the entries of all hosts.
func (c *compiler) routes() {
	slices.SortFunc(c.claims, func(a, b patterned) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), a.pattern.Compare(b.pattern), slices.Compare(a.Methods, b.Methods), strings.Compare(a.Target, b.Target))
	})
	for from := 0; from < len(c.claims); {
		host, to := c.claims[from].Host, from
		var list []route.Claim
		for ; to < len(c.claims) && c.claims[to].Host == host; to++ {
			list = append(list, c.claims[to].Claim)
		}
		parts(c, "routes/"+host, list)
		from = to
	}
}

// parts makes entries of a list that may be too long for one.
func parts[T any](c *compiler, path string, list []T) {
	n, size, from := 0, 0, 0
	flush := func(to int) {
		if to > from {
			c.add(fmt.Sprintf("%s/%04d", path, n), list[from:to])
			n, size, from = n+1, 0, to
		}
	}
	for i := range list {
		if size += len(encode(list[i])); size > partLenMax {
			flush(i)
			size = len(encode(list[i]))
		}
	}
	flush(len(list))
}
