package project

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/taucloud/tau/project/route"
	"github.com/taucloud/tau/yamltree"
)

// checkMatch checks a regular expression of names.
func checkMatch(d *decoder, o *origin, match string, isRegex bool) {
	if !isRegex {
		return
	}
	if _, err := regexp.Compile(match); err != nil {
		d.fail(o.file, o.place("match", 0), "see https://pkg.go.dev/regexp/syntax", "match: %v", err)
	}
}

// scopes of a project are those of itself and of its applications.
func (p *Project) scopes(f func(application string, s *Scope)) {
	f("", &p.Scope)
	for i := range p.Applications {
		f(p.Applications[i].Name, &p.Applications[i].Scope)
	}
}

// each calls f for each resource, in the order of applications, kinds and names.
func (p *Project) each(f func(ref Ref, r resource)) {
	p.scopes(func(application string, s *Scope) {
		for _, t := range kinds {
			for _, r := range t.list(s) {
				f(Ref{application, t.kind, r.base().Name}, r)
			}
		}
	})
}

func (p *Project) scope(application string) *Scope {
	if application == "" {
		return &p.Scope
	}
	for i := range p.Applications {
		if p.Applications[i].Name == application {
			return &p.Applications[i].Scope
		}
	}
	return nil
}

// known are the names that an application can mean by a kind.
func (p *Project) known(application, kind string) (names []string) {
	t := kindNamed(kind)
	for _, app := range []string{application, ""} {
		if s := p.scope(app); s != nil {
			for _, r := range t.list(s) {
				names = append(names, r.base().Name)
			}
		}
		if application == "" {
			break
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// reporter is told what is wrong with a field of a resource; item is of a list, or -1.
type reporter func(ref Ref, mono string, item int, hint, what string)

// check finds what is wrong between resources; own is the project's own host. said says where one is, for messages.
func (p *Project) check(own string, report reporter, said func(ref Ref, mono string, item int) string) {
	names := p.names()
	ids, folders := map[string]Ref{}, map[string]Ref{}
	built := map[string]Build{}
	p.each(func(ref Ref, r resource) {
		if id := r.base().ID; id != "" {
			if first, twice := ids[id]; twice {
				report(ref, "id", -1, "give each its own; copied files have copied ids", fmt.Sprintf("id: %s has the same, %s", first, said(first, "id", -1)))
			} else {
				ids[id] = ref
			}
		}
		var uses []string
		switch r := r.(type) {
		case *Function:
			uses = r.Domains
			if folder := Folder(ref, r); folder != "" && !r.Build.IsZero() {
				if first, taken := folders[folder]; taken && !reflect.DeepEqual(built[folder], r.Build) {
					report(ref, firstOf(r.Build), 0, "say the same of both, or give each a folder", fmt.Sprintf("its code is in the folder of %s, %s, which is built in another way", first, said(first, firstOf(built[folder]), 0)))
				} else if !taken {
					folders[folder], built[folder] = ref, r.Build
				}
			}
			if library, is := strings.CutPrefix(r.Source, "libraries/"); is && !names.has(ref.Application, "libraries", library) {
				report(ref, "source", -1, hintFor(library, p.known(ref.Application, "libraries"), "libraries"), fmt.Sprintf("source: there is no library %s", library))
			}
		case *Website:
			uses = r.Domains
		case *SmartOp:
			report(ref, "source", -1, "remove it; nothing else of the project depends on it", fmt.Sprintf("smartop %s: smartops do not exist here yet", ref.Name))
		}
		for i, name := range uses {
			if !names.has(ref.Application, "domains", name) {
				report(ref, "domains", i, hintFor(name, p.known(ref.Application, "domains"), "domains"), fmt.Sprintf("domains: there is no domain %s", yamltree.Quote(name)))
			}
		}
	})
	p.overlaps(own, report, said)
}

func hintFor(name string, known []string, kind string) string {
	if len(known) == 0 {
		return "there are no " + kind + ": add it, or remove the line"
	}
	return yamltree.Suggest(name, known)
}

// nameSet are the names of what others name.
type nameSet map[Ref]bool

func (p *Project) names() nameSet {
	set := nameSet{}
	p.each(func(ref Ref, _ resource) { set[ref] = true })
	return set
}

func (n nameSet) has(application, kind, name string) bool {
	return n[Ref{application, kind, name}] || n[Ref{"", kind, name}]
}

// overlaps finds requests that two functions or websites would answer. Hosts are told apart by their domain names, and
// what has no domain is at the project's own host.
func (p *Project) overlaps(own string, report reporter, said func(ref Ref, mono string, item int) string) {
	type place struct{ host, key, method string }
	type claimed struct {
		ref  Ref
		item int
	}
	seen := map[place]claimed{}
	fqdns := p.fqdns()
	p.each(func(ref Ref, r resource) {
		paths, methods, names, prefix := served(r)
		for i, path := range paths {
			pattern, err := patternOf(path, prefix)
			if err != nil {
				continue
			}
			for _, host := range hostsFor(ref.Application, names, fqdns, own) {
				for _, method := range methods {
					at := place{host, pattern.Key(), method}
					first, taken := seen[at]
					if !taken {
						seen[at] = claimed{ref, i}
						continue
					}
					report(ref, "paths", i, "give one of them another path, method or domain", fmt.Sprintf("%s %s%s is %s's already, %s", method, host, pattern.Key(), first.ref, said(first.ref, "paths", first.item)))
					break
				}
			}
		}
	})
}

func patternOf(path string, prefix bool) (route.Pattern, error) {
	if prefix {
		return route.Prefix(path)
	}
	return route.Parse(path)
}

// websiteMethods are those that a website answers.
var websiteMethods = []string{"GET", "HEAD"}

// served is what a resource answers; prefix: what is below its paths as well.
func served(r resource) (paths, methods, domains []string, prefix bool) {
	switch r := r.(type) {
	case *Function:
		if r.HTTP() {
			return r.Paths, r.Methods, r.Domains, false
		}
	case *Website:
		return r.Paths, websiteMethods, r.Domains, true
	}
	return nil, nil, nil, false
}

// fqdns are the domain names of the project's domains.
func (p *Project) fqdns() map[Ref]string {
	out := map[Ref]string{}
	p.scopes(func(application string, s *Scope) {
		for i := range s.Domains {
			out[Ref{application, "domains", s.Domains[i].Name}] = s.Domains[i].FQDN
		}
	})
	return out
}

// hostsFor are the domain names that names mean within an application, each once; "" is the project's own host, also where a
// domain names it.
func hostsFor(application string, names []string, fqdns map[Ref]string, ownHost string) []string {
	if len(names) == 0 {
		return []string{""}
	}
	var hosts []string
	for _, name := range names {
		fqdn, own := fqdns[Ref{application, "domains", name}]
		if !own {
			fqdn = fqdns[Ref{"", "domains", name}]
		}
		host := fqdn
		if fqdn == ownHost {
			host = ""
		}
		if fqdn != "" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// Each calls f for each resource, in the order of applications, kinds and names; r is a pointer to a type of this
// package, such as *Function.
func (p *Project) Each(f func(ref Ref, r any)) {
	p.each(func(ref Ref, r resource) { f(ref, r) })
}

// Count is how many resources of each kind there are, by the kind's folder, and of applications.
func (p *Project) Count() map[string]int {
	count := map[string]int{}
	if n := len(p.Applications); n > 0 {
		count["applications"] = n
	}
	p.each(func(ref Ref, _ resource) { count[ref.Kind]++ })
	return count
}

// Kinds are the folders of resources, in the order of the reference, and that of applications.
func Kinds() []string { return append(kindNames(), "applications") }
