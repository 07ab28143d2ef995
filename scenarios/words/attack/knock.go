package attack

import (
	"context"
	"strings"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/docs"
	"github.com/taucloud/tau/transport"
)

// served is a row of docs/methods.md.
type served struct{ name, kind, who string }

// table is docs/methods.md.
func table() (list []served) {
	for line := range strings.Lines(docs.Methods) {
		cells := strings.Split(line, "|")
		if len(cells) == 5 && strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			list = append(list, served{
				name: strings.Trim(cells[1], " `"), kind: strings.TrimSpace(cells[2]), who: strings.TrimSpace(cells[3]),
			})
		}
	}
	return list
}

// allows reports whether a row lets in whom it is told of.
func (s served) allows(member bool, grants transport.Grants) bool {
	services, limited := strings.CutPrefix(s.who, "members that offer ")
	switch {
	case s.who == "anyone":
		return true
	case !limited:
		return member && s.who == "members"
	}
	for _, service := range strings.Split(services, " or ") {
		if member && grants.Offers(service) {
			return true
		}
	}
	return false
}

// knock tries all that is not for the attacker, with an empty record as the message: it is what
// every type can be decoded from.
func knock(ctx context.Context, a *one) error {
	empty := transport.Encode(struct{}{})
	member, grants := a.standing()
	for _, t := range a.on("") {
		conn, err := dial(ctx, a, t.Peer, transport.Control)
		for _, s := range table() {
			if s.allows(member, grants) {
				continue
			}
			switch s.kind {
			case "call":
				a.apart(func(ctx context.Context) {
					ctx, cancel := clock.WithTimeout(ctx, a.env().Loop, tryFor)
					defer cancel()
					_, _ = a.env().Wire.Call(ctx, t.Peer, s.name, empty)
				})
			case "note":
				_ = a.env().Wire.Tell(t.Peer, s.name, empty)
			case "stream":
				a.apart(func(ctx context.Context) {
					ctx, cancel := clock.WithTimeout(ctx, a.env().Loop, tryFor)
					defer cancel()
					if st, err := a.env().Wire.OpenStream(ctx, t.Peer, s.name, empty); err == nil {
						_, _ = st.Recv(ctx)
						st.Reset()
					}
				})
			case "topic":
				if member { // on the conns on which it has said so
					a.env().Wire.Publish(s.name, empty)
				} else if err == nil {
					conn.say(publicationFrame(s.name, empty))
				}
			}
		}
		conn.closeAfter(ctx, tryFor)
	}
	return nil
}
