package route

import (
	"cmp"
	"slices"
	"strings"
)

// Claim is what a project wants to serve: requests to a host, with a path of a pattern and one of some methods.
type Claim struct {
	Host string `json:"host"`
	// Path is a pattern in its text form; Key the same without names, see Pattern.
	Path string `json:"path"`
	Key  string `json:"key"`
	// Methods are upper case and sorted.
	Methods []string `json:"methods"`
	// Target is the path of the entry of the function or website.
	Target string `json:"target"`
}

// Compare is a total order of the claims of a project: of one host those that are tried first come first.
func (c Claim) Compare(d Claim) int {
	p, _ := Parse(c.Path)
	q, _ := Parse(d.Path)
	return cmp.Or(strings.Compare(c.Host, d.Host), p.Compare(q), slices.Compare(c.Methods, d.Methods), strings.Compare(c.Target, d.Target), strings.Compare(c.Path, d.Path))
}

// Best is the claim that answers a request, of claims without overlaps: the most specific one that has the method. It
// looks at each claim: who serves many requests makes a tree of them, and is tested against this.
func Best(claims []Claim, host, method, path string) (best Claim, parameters map[string]string, ok bool) {
	var found Pattern
	for _, c := range claims {
		if c.Host != host || !slices.Contains(c.Methods, method) {
			continue
		}
		p, err := Parse(c.Path)
		if err != nil {
			continue
		}
		if with, match := p.Match(path); match && (!ok || p.Compare(found) < 0) {
			best, parameters, found, ok = c, with, p, true
		}
	}
	return best, parameters, ok
}
