package scenario

import (
	"slices"
	"time"

	"github.com/taucloud/tau/node"
)

// Certificate is what a node's first certificate says, where it differs from the usual one.
type Certificate struct {
	// Services are those that it names; nil: all that the node has.
	Services []string
	// Lifetime is how long it counts from the start on; 0: for the whole run.
	Lifetime time.Duration
}

// certificateDoc is a certificate as files have it.
type certificateDoc struct {
	Lifetime time.Duration `yaml:"lifetime" range:"1m..7200h" doc:"how long it counts from the start of the run on, and as much longer as clocks may differ (5 m)"`
	Services []raw         `yaml:"services" empty:"yes" doc:"the services that it names; default: all that the nodes run"`
}

// ClientOf is the name of the node on which users of a cloud act: the client for the first cloud, and
// client-NAME for any other.
func (s *Scenario) ClientOf(cloud string) string {
	if len(s.Clouds) == 0 || cloud == s.Clouds[0] {
		return Client
	}
	return Client + "-" + cloud
}

// CloudOf is the cloud of a node or a client, and whether there is such a node.
func (s *Scenario) CloudOf(name string) (cloud string, known bool) {
	for _, c := range s.Clouds {
		if s.ClientOf(c) == name {
			return c, true
		}
	}
	i := slices.IndexFunc(s.Nodes, func(n Node) bool { return n.Name == name && !n.Stranger })
	if i < 0 {
		return "", false
	}
	return s.Nodes[i].Cloud, true
}

// Astray reports whether a node was told of nodes of another cloud only: it finds nobody of its own.
func (s *Scenario) Astray(n *Node) bool {
	return !n.Stranger && len(n.Contacts) > 0 && !slices.ContainsFunc(n.Contacts, func(name string) bool {
		of, _ := s.CloudOf(name)
		return of == n.Cloud
	})
}

// clouds lists those that groups are of, and gives each its client.
func (b *builder) clouds(groups []groupDoc) {
	s := b.scenario
	for _, g := range groups {
		if g.at == nil || g.at.kind != mapping || slices.Contains(s.Clouds, g.Cloud) {
			continue
		}
		if len(s.Clouds) > 0 && (g.Cloud == "" || s.Clouds[0] == "") {
			b.fail(g.place("cloud"), "write cloud: NAME in each group, or in none", "some groups of nodes say of which cloud they are, and others do not")
			continue
		}
		s.Clouds = append(s.Clouds, g.Cloud)
	}
	for _, c := range s.Clouds {
		if name := s.ClientOf(c); name != Client {
			s.roster.clients = append(s.roster.clients, name)
		}
	}
}

// bootstrap chooses the nodes by which the others find their cloud: those that the scenario names or else the
// first group of the cloud with the service that tells nodes of each other. Where there is none, all nodes are told of all.
func (b *builder) bootstrap(root *value, doc *document) {
	s := b.scenario
	at := root.get("bootstrap")
	if at != nil && len(doc.Bootstrap) == 0 {
		b.fail(at, "name nodes, or remove it", "bootstrap: expected names of nodes, found nothing")
	}
	named := b.namedNodes(doc.Bootstrap)
	s.told = named
	finders := 0
	for _, cloud := range s.Clouds {
		group := slices.IndexFunc(s.Nodes, func(n Node) bool { return n.Cloud == cloud && !n.Hostile() && b.finds(n) })
		if group < 0 {
			continue
		}
		finders++
		contacts := slices.DeleteFunc(slices.Clone(named), func(name string) bool {
			of, _ := s.CloudOf(name)
			return of != cloud
		})
		if len(contacts) == 0 {
			contacts = s.roster.group[s.Nodes[group].Group]
		}
		for i := range s.Nodes {
			if n := &s.Nodes[i]; n.Cloud == cloud && !n.Stranger {
				n.Contacts = contacts
			}
		}
	}
	if finders == 0 && at != nil {
		b.fail(at, "add it to the services of a group, or remove bootstrap", "bootstrap: nodes find each other by the service %s, and none runs it", quote(b.words.Finder))
	}
	b.ownBootstraps(doc)
}

// finds reports whether a node runs the service that tells nodes of each other.
func (b *builder) finds(n Node) bool {
	return b.words.Finder != "" && slices.ContainsFunc(n.Services, func(c node.Configured) bool { return c.Spec.Name == b.words.Finder })
}

// ownBootstraps are those of groups.
func (b *builder) ownBootstraps(doc *document) {
	for i := range doc.Nodes {
		g := &doc.Nodes[i]
		if len(g.Bootstrap) == 0 {
			continue
		}
		contacts := b.namedNodes(g.Bootstrap)
		if len(contacts) == 0 {
			continue
		}
		for k := range b.scenario.Nodes {
			n := &b.scenario.Nodes[k]
			if n.Group != g.Name {
				continue
			}
			if n.Contacts == nil {
				b.fail(g.place("bootstrap"), "add it to the services of a group of that cloud, or remove bootstrap", "bootstrap: nodes find each other by the service %s, and none runs it", quote(b.words.Finder))
				break
			}
			n.Contacts = contacts
		}
	}
}

// namedNodes are nodes by their names and those of their groups.
func (b *builder) namedNodes(list []raw) (names []string) {
	r := b.scenario.roster
	for i := range list {
		switch name := &list[i]; {
		case r.group[name.text] != nil:
			names = append(names, r.group[name.text]...)
		case r.exists[name.text]:
			names = append(names, name.text)
		default:
			b.unknown(name.value, "node", "in bootstrap", r.names)
		}
	}
	return names
}

// certificates says what each node's first one says: as its group says, or the scenario.
func (b *builder) certificates(doc *document) {
	if len(doc.Certificates.Services) > 0 {
		b.fail(doc.Certificates.Services[0].value, "write certificate: {services: [monkey]} in a group of nodes", "certificates: services are named for a group of nodes")
	}
	for i := range b.scenario.Nodes {
		n := &b.scenario.Nodes[i]
		g := slices.IndexFunc(doc.Nodes, func(g groupDoc) bool { return g.Name == n.Group })
		if g < 0 || n.Invitation != "" {
			continue
		}
		own := &doc.Nodes[g].Certificate
		if n.Certificate.Lifetime = own.Lifetime; own.Lifetime == 0 && !b.issues(n) {
			n.Certificate.Lifetime = doc.Certificates.Lifetime
		}
		if doc.Nodes[g].at.path([]string{"certificate", "services"}) == nil {
			continue
		}
		n.Certificate.Services = []string{}
		for _, spec := range b.words.Always {
			n.Certificate.Services = append(n.Certificate.Services, spec.Name)
		}
		for _, v := range own.Services {
			n.Certificate.Services = append(n.Certificate.Services, v.text)
		}
	}
}

// issues reports whether a node signs certificates of others. Nobody but the cloud key renews its own.
func (b *builder) issues(n *Node) bool {
	return slices.ContainsFunc(n.Services, func(c node.Configured) bool { return c.Spec.Name == b.words.Issuer })
}

// checkAdmission checks the keys of a group about how its nodes come into their cloud.
func (b *builder) checkAdmission(g *groupDoc) {
	if at := g.at.get("cloud"); at != nil && (!nameForm.MatchString(g.Cloud) || len(g.Cloud) > nameLenMax) {
		b.fail(at, "write lower-case words joined by -, such as north", "cloud: %s is not a name of a cloud", quote(g.Cloud))
	}
	if at := g.at.get("join"); at != nil {
		switch {
		case !nameForm.MatchString(g.Join) || len(g.Join) > nameLenMax:
			b.fail(at, "write lower-case words joined by -, such as welcome", "join: %s is not a name of an invitation", quote(g.Join))
		case g.at.get("certificate") != nil:
			b.fail(at, "remove one of the two", "a group of nodes has a certificate, or joins by an invitation")
		case len(g.Bad) > 0:
			b.fail(at, "remove it", "join: bad members have certificates")
		case g.serves(b.words.Issuer):
			b.fail(at, "remove "+b.words.Issuer+" from its services", "join: who signs certificates of others has one of the cloud key itself")
		}
	}
	for _, v := range g.Certificate.Services {
		if known := b.serviceNames(); v.kind != scalar || !slices.Contains(known, v.text) {
			b.unknown(v.value, "service", "in certificate", known)
		}
	}
}

// serves reports whether a group runs a service.
func (g *groupDoc) serves(service string) bool {
	return slices.ContainsFunc(g.Services, func(s raw) bool { return s.text == service })
}

// cloudKey is the key of every action of users: of which cloud they are.
const cloudKey = "cloud"

// cloudDoc documents it.
var cloudDoc = Key{Name: cloudKey, Type: "text", Doc: "of which cloud the user is, where there are several; default: that of the first group"}

// askedCloud reads of which cloud an action's user is, and returns its word without that key.
func (b *builder) askedCloud(e *Entry, word entry) entry {
	s := b.scenario
	if len(s.Clouds) > 0 {
		e.cloud = s.Clouds[0]
	}
	at := word.value.get(cloudKey)
	if at == nil {
		return word
	}
	if !slices.Contains(s.Clouds, at.text) || at.text == "" {
		if !s.roster.unknown() {
			named := slices.DeleteFunc(slices.Clone(s.Clouds), func(c string) bool { return c == "" })
			b.fail(at, suggest(at.text, named), "%s: no group of nodes is of the cloud %s", e.action.Name, quote(at.text))
		}
	} else {
		e.cloud = at.text
	}
	return entry{key: word.key, value: word.value.without(cloudKey)}
}

// checkAskedCloud reports an action whose user's cloud does not run what it asks, and one that asks nodes of another cloud.
func (b *builder) checkAskedCloud(e *Entry, word entry) {
	s := b.scenario
	if len(s.Clouds) < 2 || s.roster.unknown() || e.action.Service == "" {
		return
	}
	ours := func(name string) bool {
		of, known := s.CloudOf(name)
		return known && of == e.cloud
	}
	if !slices.ContainsFunc(s.roster.services[e.action.Service], ours) {
		b.fail(word.key, "write cloud: NAME beside its other keys", "%s: no node of %s runs %s", e.action.Name, cloudText(e.cloud), e.action.Service)
	} else if e.to != nil && !slices.ContainsFunc(e.to.all(s.roster), ours) {
		b.fail(&e.to.at, "write cloud: NAME beside it", "%s: to: none of these nodes is of %s, whose user asks", e.action.Name, cloudText(e.cloud))
	}
}

func cloudText(cloud string) string { return "the cloud " + cloud }
