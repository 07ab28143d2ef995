package transport

import (
	"slices"
	"strings"
)

// Rule says who may call a method, send a note, open a stream or publish to a topic.
// It is declared beside the name, and the engine enforces it before the body is
// decoded. The zero value is no rule: what has none cannot be served.
//
// A rule is about who the caller is. What a caller may do with one object - this
// job's lock, that item's owner - is the service's business, which compares the
// authenticated peer that it is given with the object, never with what a request says.
type Rule struct {
	who      audience
	services string // for offering, joined by commas
}

type audience uint8

const (
	noRule audience = iota
	toAnyone
	toMembers
	toOffering
)

var (
	// Anyone who can connect, strangers too.
	Anyone = Rule{who: toAnyone}
	// Member of the cloud, whatever it is for.
	Member = Rule{who: toMembers}
)

// Offers is a rule for members that may offer one of the services.
func Offers(services ...string) Rule {
	if len(services) == 0 || slices.Contains(services, "") {
		panic("transport: a rule for those who offer nothing")
	}
	return Rule{who: toOffering, services: strings.Join(services, ",")}
}

// IsRule reports whether r says anything.
func (r Rule) IsRule() bool { return r.who != noRule }

// String is the rule in a sentence about who may: "members that offer monkey or tns".
func (r Rule) String() string {
	switch r.who {
	case toAnyone:
		return "anyone"
	case toMembers:
		return "members"
	case toOffering:
		return "members that offer " + strings.ReplaceAll(r.services, ",", " or ")
	}
	return "nobody"
}

// Allows reports whether the rule lets in a peer of which an Authority has said that.
func (r Rule) Allows(g Grants, known bool) bool {
	switch r.who {
	case toAnyone:
		return true
	case toMembers:
		return known
	case toOffering:
		if !known {
			return false
		}
		for rest, more := r.services, true; more; {
			var service string
			service, rest, more = strings.Cut(rest, ",")
			if g.Offers(service) {
				return true
			}
		}
	}
	return false
}

// Grants are what a member may do: the services that it may offer, in order. It
// need not offer them now; see Directory for that.
type Grants struct{ Services []string }

// Offers reports whether a service is among them.
func (g Grants) Offers(service string) bool {
	_, found := slices.BinarySearch(g.Services, service)
	return found
}

// Authority is the port that says who a peer is. The engine has no other source, so
// how members prove what they are is a matter of the Authority alone: see Proving.
type Authority interface {
	// Grants are those of an authenticated peer. Not known is a stranger, or a member that
	// has not been met. It is called on any goroutine, with the engine locked: it does not
	// wait and calls nobody.
	Grants(p Peer) (g Grants, known bool)
}

// AuthorizeBy makes a the engine's Authority, in place of its Directory.
func AuthorizeBy(a Authority) Option { return func(e *Engine) { e.authority = a } }

// strangers is the Authority of an engine that has none: it knows nobody.
type strangers struct{}

func (strangers) Grants(Peer) (Grants, bool) { return Grants{}, false }

// Grants are what the node's Authority says of a peer, for services whose objects
// belong to members of a kind.
func (ep *Endpoint) Grants(p Peer) (g Grants, known bool) { return ep.engine.authority.Grants(p) }

// allowed returns nil if a peer may do what has the rule, otherwise what it is told.
// rule is that of a method that is served, or the zero value. A stranger hears the same
// of all that is not for anyone, also of what is not there.
func (e *Engine) allowed(from Peer, rule Rule) *Error {
	grants, known := e.authority.Grants(from)
	switch {
	case rule.Allows(grants, known):
		return nil
	case !known:
		return &Error{Kind: NotAllowed, Text: "it is for " + Member.String()}
	case !rule.IsRule():
		return &Error{Kind: Refused, Text: "not served here"}
	}
	return &Error{Kind: NotAllowed, Text: "it is for " + rule.String()}
}
