package sdk

import (
	"strings"

	"github.com/taucloud/tau/wasm/outbound"
)

// resolver keeps what was asked, as guests ask for the length first: by kind and name.
type resolver map[question]string

type question struct {
	kind outbound.Kind
	name string
}

// questionsMax bounds what one resolver keeps.
const questionsMax = 16

// names are the functions of DNS.
func (l *functions) names() {
	l.add("dnsNewResolver", "i", ErrResolverNotFound, func(g guest) Errno {
		if len(g.resolvers) >= handlesMax {
			return ErrResolverNotFound
		}
		if g.resolvers == nil {
			g.resolvers = map[uint32]resolver{}
		}
		id := g.id()
		g.resolvers[id] = resolver{}
		return g.put32(0, id)
	})
	l.add("dnsRerouteResolver", "iiiii", ErrResolverNotFound, func(g guest) Errno {
		g.note("dnsRerouteResolver: other name servers than the node's cannot be asked")
		return ErrResolverNotFound
	})
	l.add("dnsResetResolver", "i", ErrResolverNotFound, func(g guest) Errno {
		if _, is := g.resolvers[g.u32(0)]; !is {
			return ErrResolverNotFound
		}
		return OK
	})
	l.looks("dnsLookupTxT", outbound.TXT, ErrLookupTXT, listed)
	l.looks("dnsLookupAddress", outbound.PTR, ErrLookupAddress, listed)
	l.looks("dnsLookupCNAME", outbound.CNAME, ErrLookupCNAME, func(r []string) string { return strings.Join(r, "") })
	l.looks("dnsLookupMX", outbound.MX, ErrLookupMX, func(records []string) string {
		for i, r := range records {
			host, preference, _ := strings.Cut(r, " ")
			records[i] = host + "/" + preference + "/"
		}
		return listed(records)
	})
}

// looks adds two functions: the first asks and tells how long the answer is, the second has the answer.
func (l *functions) looks(name string, kind outbound.Kind, failed Errno, form func([]string) string) {
	find := func(g guest) (resolver, question, Errno) {
		text, e := g.text(1, nameLenMax)
		if e != OK {
			return nil, question{}, e
		}
		r, is := g.resolvers[g.u32(0)]
		if !is {
			return nil, question{}, ErrResolverNotFound
		}
		return r, question{kind, text}, OK
	}
	l.add(name+"Size", "iiii", ErrResolverNotFound, func(g guest) Errno {
		r, q, e := find(g)
		if e != OK {
			return e
		}
		g.outbound.Left = g.Left
		g.Work(len(q.name) + askLen)
		records, err := g.outbound.Records(g.Context, kind, q.name)
		g.waited()
		if err != nil {
			g.fails(err)
			return failed
		}
		answer := form(records)
		g.release(len(r[q]))
		delete(r, q)
		if len(r) >= questionsMax || !g.hold(len(answer)) {
			return failed
		}
		r[q] = answer
		return g.put32(3, uint32(len(answer)))
	})
	l.add(name, "iiii", ErrResolverNotFound, func(g guest) Errno {
		r, q, e := find(g)
		if e != OK {
			return e
		}
		answer, is := r[q]
		if !is {
			return failed
		}
		return g.give(3, answer)
	})
}
