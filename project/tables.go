package project

import (
	"slices"
	"strings"
)

// of makes a pointer to a field of a type from a resource.
func of[T any](get func(*T) any) func(any) any { return func(r any) any { return get(r.(*T)) } }

func baseOf(get func(*Base) any) func(any) any {
	return func(r any) any { return get(r.(resource).base()) }
}

// tableOf declares a kind of resources.
func tableOf[T any, P interface {
	*T
	resource
}](t table, slice func(*Scope) *[]T) *table {
	t.list = func(s *Scope) []resource {
		all := *slice(s)
		out := make([]resource, len(all))
		for i := range all {
			out[i] = P(&all[i])
		}
		return out
	}
	t.new = func() resource { return P(new(T)) }
	t.add = func(s *Scope, r resource) { *slice(s) = append(*slice(s), *(r.(P))) }
	t.sort = func(s *Scope) {
		slices.SortStableFunc(*slice(s), func(a, b T) int { return strings.Compare(P(&a).base().Name, P(&b).base().Name) })
	}
	t.fields = append(common(), t.fields...)
	return &t
}

// common are the fields of everything that has a name.
func common() []field {
	return []field{
		{repo: []string{"id"}, mono: "id", doc: "What it is known by for ever, whatever its name. No two have the same.", example: "QmYk1zTqPv5wC6rQ3mZb8s9dLxN2fHgJtE7aUoRiWcXpMv", rule: idRule, in: baseOf(func(b *Base) any { return &b.ID })},
		{repo: []string{"description"}, mono: "description", doc: "For people.", example: "takes orders", rule: anyText, in: baseOf(func(b *Base) any { return &b.Description })},
		{repo: []string{"tags"}, mono: "tags", doc: "For people, to find it by.", example: "[shop]", rule: anyText, in: baseOf(func(b *Base) any { return &b.Tags })},
	}
}

// kinds are all kinds of resources, in the order of the reference and of tau.yaml.
var kinds = []*table{
	tableOf(domains, func(s *Scope) *[]Domain { return &s.Domains }),
	tableOf(functions, func(s *Scope) *[]Function { return &s.Functions }),
	tableOf(websites, func(s *Scope) *[]Website { return &s.Websites }),
	tableOf(libraries, func(s *Scope) *[]Library { return &s.Libraries }),
	tableOf(databases, func(s *Scope) *[]Database { return &s.Databases }),
	tableOf(storages, func(s *Scope) *[]Storage { return &s.Storages }),
	tableOf(messaging, func(s *Scope) *[]Channel { return &s.Messaging }),
	tableOf(services, func(s *Scope) *[]Service { return &s.Services }),
	tableOf(smartops, func(s *Scope) *[]SmartOp { return &s.SmartOps }),
}

func kindNamed(name string) *table {
	for _, t := range kinds {
		if t.kind == name {
			return t
		}
	}
	return nil
}

func kindNames() []string {
	names := make([]string, len(kinds))
	for i, t := range kinds {
		names[i] = t.kind
	}
	return names
}

func init() {
	nameRule.form = lazily(nameRule.pattern)
	for _, t := range append(slices.Clone(kinds), projectTable, applicationTable) {
		t.prepare()
	}
}

// projectTable has the fields of config.yaml, and of tau.yaml beside its resources.
var projectTable = &table{
	kind: "project", one: "project", doc: "The project itself: config.yaml of a configuration repository, the head of tau.yaml.",
	fields: []field{
		{repo: []string{"id"}, mono: "id", doc: "What the project is known by for ever.", example: "QmYk1zTqPv5wC6rQ3mZb8s9dLxN2fHgJtE7aUoRiWcXpMv", rule: idRule, in: of(func(p *Project) any { return &p.ID })},
		{repo: []string{"name"}, mono: "name", doc: "For people, and part of the project's own host.", example: "shop", rule: nameRule, required: true, in: of(func(p *Project) any { return &p.Name })},
		{repo: []string{"description"}, mono: "description", doc: "For people.", example: "sells tea", rule: anyText, in: of(func(p *Project) any { return &p.Description })},
		{repo: []string{"tags"}, mono: "tags", doc: "For people, to find it by.", example: "[tea]", rule: anyText, in: of(func(p *Project) any { return &p.Tags })},
		{repo: []string{"notification.email"}, mono: "email", doc: "Who is told of builds that fail.", example: "ops@example.com", rule: emailRule, in: of(func(p *Project) any { return &p.Email })},
		{repo: []string{"clouds"}, mono: "clouds", doc: "Account and plan by the domain name of a cloud.", example: "{cloud.example.com: {account: acme, plan: prod}}",
			rule: rule{want: "a text", pattern: `^\S{0,128}$`, keys: &fqdnRule}, in: of(func(p *Project) any { return &p.Clouds }),
			shape: map[string]any{"type": "object", "maxProperties": itemsMax, "propertyNames": map[string]any{"pattern": fqdnRule.pattern}, "additionalProperties": map[string]any{
				"type": "object", "additionalProperties": false, "properties": map[string]any{"account": textShape(), "plan": textShape()}}}},
	},
}

// applicationTable has the fields of applications/NAME/config.yaml, and of an application in tau.yaml beside its
// resources.
var applicationTable = &table{
	kind: "applications", one: "application", doc: "A part of a project with resources of its own: a folder of `applications` with the same folders as the project, and a config.yaml.",
	fields: common(),
}

var domains = table{
	kind: "domains", one: "domain", short: "fqdn", doc: "A domain name that functions and websites are served at.",
	fields: []field{
		{repo: []string{"fqdn"}, mono: "fqdn", doc: "The domain name.", example: "shop.example.com", rule: fqdnRule, required: true, in: of(func(d *Domain) any { return &d.FQDN })},
		{repo: []string{"certificate.type"}, mono: "certificate", doc: "`auto`: the cloud gets a certificate. `inline`: it is in the file, with its key in Git for all to read: only in configuration repositories that have it already.",
			example: "auto", initial: "auto", rule: rule{want: "auto or inline", words: []string{"auto", "inline"}}, in: of(func(d *Domain) any { return &d.Certificate })},
		{repo: []string{"certificate.cert"}, doc: "The certificate, PEM.", example: "", rule: anyText, in: of(func(d *Domain) any { return &d.Cert })},
		{repo: []string{"certificate.key"}, doc: "Its key, PEM. It is never published and not shown.", example: "", secret: true, rule: anyText, in: of(func(d *Domain) any { return &d.Key })},
	},
	finish: finishDomain,
}

var functions = table{
	kind: "functions", one: "function", doc: "Code that runs when something happens: a request, a message, a call of a peer, a moment.",
	fields: slices.Concat([]field{
		{repo: []string{"trigger.type"}, mono: "type", doc: "What makes it run: `http` or `https` (requests), `pubsub` (messages of a channel), `p2p` (commands of peers), `cron` (moments).",
			example: "https", rule: typeRule, meant: "what the other fields say: https with paths, pubsub with a channel, p2p with a command, else cron", in: of(func(f *Function) any { return &f.Type })},
		{repo: []string{"trigger.local"}, mono: "local", doc: "Only what happens on the same node counts.", example: "true", initial: "false", in: of(func(f *Function) any { return &f.Local })},
		{repo: []string{"trigger.methods", "trigger.method"}, mono: "methods", doc: "Which requests: one method, or several, which is new; in any case.", example: "[GET, POST]", meant: "GET", rule: methodRule, in: of(func(f *Function) any { return &f.Methods })},
		{repo: []string{"trigger.paths"}, mono: "paths", doc: "Paths of requests. New are parameters and wildcards: `{id}` stands for one segment, `{rest...}` or `*` at the end for all that follows, nothing included.", example: `["/users/{id}", "/files/{rest...}"]`, rule: pathRule, in: of(func(f *Function) any { return &f.Paths })},
		{repo: []string{"trigger.domains", "domains"}, mono: "domains", doc: "Names of domains, of the application or of the project.", example: "[main, shop]", meant: "the project's own host", rule: nameRule, in: of(func(f *Function) any { return &f.Domains })},
		{repo: []string{"trigger.channel"}, mono: "channel", doc: "The channel whose messages it gets.", example: "orders", rule: anyText, in: of(func(f *Function) any { return &f.Channel })},
		{repo: []string{"trigger.protocol", "trigger.service"}, mono: "protocol", doc: "The protocol that the command is of.", example: "/orders/v1", rule: wordRule, in: of(func(f *Function) any { return &f.Protocol })},
		{repo: []string{"trigger.command"}, mono: "command", doc: "The command of peers that it answers.", example: "place", rule: wordRule, in: of(func(f *Function) any { return &f.Command })},
		{repo: []string{"trigger.cron"}, mono: "cron", doc: "Moments at which it runs, beside what its type says: minute, hour, day of the month, month and day of the week, in UTC; or @hourly, @daily, @weekly, @monthly, @yearly.", example: `["0 3 * * *"]`, better: true, rule: cronRule, in: of(func(f *Function) any { return &f.Cron })},
		{repo: []string{"source"}, mono: "source", doc: "Where the code is: `.` is the folder functions/NAME (below the folder of its application, if it has one), `./folder` another, `libraries/NAME` a library.", example: "libraries/orders", initial: ".", rule: sourceRule, in: of(func(f *Function) any { return &f.Source })},
		{repo: []string{"execution.timeout"}, mono: "timeout", doc: "How long a run may take.", example: "30s", initial: "10s", rule: durationRule, in: of(func(f *Function) any { return &f.Timeout })},
		{repo: []string{"execution.memory"}, mono: "memory", doc: "How much memory a run may have.", example: "32MB", initial: "64MB", rule: sizeRule, in: of(func(f *Function) any { return &f.Memory })},
		{repo: []string{"execution.call"}, mono: "call", doc: "The exported function that is called.", example: "ping", meant: "the function's name", rule: symbolRule, in: of(func(f *Function) any { return &f.Call })},
		{repo: []string{"execution.concurrency"}, mono: "concurrency", doc: "How many requests may run at once on a node.", example: "50", meant: "up to the node", better: true, rule: rule{max: concurrencyMax}, in: of(func(f *Function) any { return &f.Concurrency })},
		{repo: []string{"environment"}, mono: "environment", doc: "Environment variables.", example: "{GREETING: Hello}", better: true, rule: rule{want: "a text", keys: &variableRule}, in: of(func(f *Function) any { return &f.Environment })},
		{repo: []string{"secrets"}, mono: "secrets", doc: "Names of secrets that it gets as environment variables. Their values are never in Git.", example: "[STRIPE_KEY]", better: true, rule: variableRule, in: of(func(f *Function) any { return &f.Secrets })},
		{repo: []string{"outbound"}, mono: "outbound", doc: "Hosts on the internet that it may send requests to, at ports 80 and 443 or the one that is written behind: `*.example.com` are all names below that, `*` are all. Addresses that are not public are never reached.", example: "[api.example.com, \"*.example.org:8443\"]", meant: "none", better: true, rule: outboundRule, in: of(func(f *Function) any { return &f.Outbound })},
		{repo: []string{"includes"}, doc: "Old.", example: "[/functions/ping.go]", ignored: "the code of a function is its folder"},
	}, builds(of(func(f *Function) any { return &f.Build }), true)),
	finish: finishFunction,
}

var websites = table{
	kind: "websites", one: "website", doc: "A tree of files, served as it is built.",
	fields: slices.Concat([]field{
		{repo: []string{"domains"}, mono: "domains", doc: "Names of domains, of the application or of the project.", example: "[main]", meant: "the project's own host", rule: nameRule, in: of(func(w *Website) any { return &w.Domains })},
		{repo: []string{"paths", "source.paths"}, mono: "paths", doc: "Where it is: it answers for what is at or below these paths, but for what functions answer.", example: "[/]", initial: "/", rule: prefixRule, in: of(func(w *Website) any { return &w.Paths })},
		{repo: []string{"spa"}, mono: "spa", doc: "What is not there is answered with index.html (a single-page application), not with 404.", example: "false", initial: "true", better: true, in: of(func(w *Website) any { return &w.SPA })},
	}, code(of(func(w *Website) any { return &w.Code }), "site"), builds(of(func(w *Website) any { return &w.Build }), false), []field{
		{repo: []string{"libraries"}, doc: "Old.", example: "[]", ignored: "websites use no libraries"},
		{repo: []string{"source.includes"}, doc: "Old.", example: "[]", ignored: "all files of a website belong to it"},
	}),
	finish: finishWebsite,
}

var libraries = table{
	kind: "libraries", one: "library", doc: "Code that functions use, by `source: libraries/NAME`.",
	fields: slices.Concat(code(of(func(l *Library) any { return &l.Code }), "src"), builds(of(func(l *Library) any { return &l.Build }), true)),
	finish: finishLibrary,
}

// code are the fields of where code is.
func code(in func(any) any, folder string) []field {
	of := func(get func(*Code) any) func(any) any { return func(r any) any { return get(in(r).(*Code)) } }
	return []field{
		{repo: []string{"source.path"}, mono: "path", doc: "The folder of the code, within its repository.", example: "./" + folder, meant: "KIND/NAME in tau.yaml, the whole repository otherwise", rule: folderRule, in: of(func(c *Code) any { return &c.Path })},
		{repo: []string{"source.branch"}, mono: "branch", doc: "The branch of its own repository.", example: "main", meant: "the branch that was pushed", rule: branchRule, in: of(func(c *Code) any { return &c.Branch })},
		{repo: []string{"source.github.id"}, mono: "github.id", doc: "Its own repository at GitHub: the number.", example: `"111111111"`, rule: rule{want: "a number", pattern: `^[0-9]{0,20}$`}, in: of(func(c *Code) any { return &c.GithubID })},
		{repo: []string{"source.github.fullname"}, mono: "github.fullname", doc: "Its own repository at GitHub: owner and name.", example: "me/site", rule: rule{want: "owner/name", pattern: `^([\w.-]{1,100}/[\w.-]{1,100})?$`}, in: of(func(c *Code) any { return &c.GithubName })},
		{repo: []string{"source.repository"}, mono: "repository", doc: "Its own repository, wherever that is.", example: "https://git.example.com/me/site.git", better: true, rule: repositoryRule, in: of(func(c *Code) any { return &c.Repository })},
	}
}

// builds are the fields of how code is built; module: of a module, so that there are toolchains.
func builds(in func(any) any, module bool) (list []field) {
	of := func(get func(*Build) any) func(any) any { return func(r any) any { return get(in(r).(*Build)) } }
	if module {
		list = append(list, field{mono: "build.toolchain", doc: "What builds it, where its files would do for several: `" + strings.Join(Toolchains, "`, `") + "`.", example: "go", meant: "what its files say, or `build.steps`", better: true, rule: toolchainRule,
			in: of(func(b *Build) any { return &b.Toolchain })})
	}
	return append(list,
		field{mono: "build.steps", doc: "Commands for a shell, one after the other, in the folder of the code, in the sandbox of the node that builds.", example: `[npm run build]`, meant: "what its files say", better: true, ordered: true, rule: stepRule, in: of(func(b *Build) any { return &b.Steps })},
		field{mono: "build.environment", doc: "Environment variables of the steps, beside the project's build secrets.", example: "{MODE: production}", better: true, rule: rule{want: "a text", keys: &variableRule}, in: of(func(b *Build) any { return &b.Environment })},
		field{mono: "build.network", doc: "The steps need the network, which the operator has to allow to the project (`build-network`); if not, the build fails and says so.", example: "true", initial: "false", better: true, in: of(func(b *Build) any { return &b.Network })},
		field{mono: "build.output", doc: "What the steps make: a folder, or a module, within the folder of the code. Of a website it is the site, of a module `main.wasm` in it.", example: "dist", meant: "what they leave in `$OUT`", better: true, rule: outputRule, in: of(func(b *Build) any { return &b.Output })},
	)
}

var databases = table{
	kind: "databases", one: "database", doc: "Keys and values.",
	fields: slices.Concat(matching(of(func(d *Database) any { return &d.Match }), of(func(d *Database) any { return &d.Regex }), of(func(d *Database) any { return &d.Access })), []field{
		{repo: []string{"storage.size"}, mono: "size", doc: "How much it may hold.", example: "100MB", required: true, rule: sizeRule, in: of(func(d *Database) any { return &d.Size })},
		{repo: []string{"encryption.type"}, doc: "Read, and of no effect yet.", example: "aes", rule: anyText, in: of(func(d *Database) any { return &d.Encryption })},
		{repo: []string{"encryption.key"}, doc: "Read, and of no effect yet. It is never published and not shown.", example: "", secret: true, rule: anyText, in: of(func(d *Database) any { return &d.EncryptionKey })},
		{repo: []string{"replicas.min"}, doc: "Old.", example: "1", ignored: "the cloud says how many copies there are"},
		{repo: []string{"replicas.max"}, doc: "Old.", example: "3", ignored: "the cloud says how many copies there are"},
		{repo: []string{"path"}, doc: "Old.", example: "/", ignored: "a database is known by match"},
	}),
	finish: finishDatabase,
}

var storages = table{
	kind: "storages", one: "storage", doc: "Files: objects that stay, or streams that are kept for a while.",
	fields: slices.Concat(matching(of(func(s *Storage) any { return &s.Match }), of(func(s *Storage) any { return &s.Regex }), of(func(s *Storage) any { return &s.Access })), []field{
		{mono: "type", doc: "`object` or `streaming`. In a configuration repository the mapping `object` or `streaming` says it.", example: "object", initial: "object", rule: rule{want: "object or streaming", words: []string{StorageObject, StorageStreaming}}, in: of(func(s *Storage) any { return &s.Type })},
		{repo: []string{"object.size", "streaming.size"}, mono: "size", doc: "How much it may hold.", example: "1GB", required: true, rule: sizeRule, in: of(func(s *Storage) any { return &s.Size }),
			writeAs: func(r any) string { return r.(*Storage).Type + ".size" }},
		{repo: []string{"object.versioning"}, mono: "versioning", doc: "Of objects: older versions of a file are kept.", example: "true", initial: "false", in: of(func(s *Storage) any { return &s.Versioning })},
		{repo: []string{"streaming.ttl"}, mono: "ttl", doc: "Of streams: how long something is kept.", example: "5m", rule: durationRule, in: of(func(s *Storage) any { return &s.TTL })},
	}),
	finish: finishStorage,
}

// matching are the fields of what code opens by a name.
func matching(match, regex, access func(any) any) []field {
	return []field{
		{repo: []string{"match"}, mono: "match", doc: "The name by which code opens it.", example: "/orders", meant: "its name", rule: anyText, in: match},
		{repo: []string{"regex", "useRegex"}, mono: "regex", doc: "`match` is a regular expression: each name that it matches is one of its own.", example: "true", initial: "false", in: regex},
		{repo: []string{"access.network"}, mono: "access", doc: "Who may use it: `all`, `subnet` or `host`.", example: "host", initial: "all", rule: accessRule, in: access},
	}
}

var messaging = table{
	kind: "messaging", one: "channel", doc: "Channels to which code, and browsers, publish and subscribe.",
	fields: []field{
		{repo: []string{"local"}, mono: "local", doc: "Only within a node.", example: "true", initial: "false", in: of(func(c *Channel) any { return &c.Local })},
		{repo: []string{"channel.match"}, mono: "match", doc: "The channel's name.", example: "orders", meant: "its name", rule: anyText, in: of(func(c *Channel) any { return &c.Match })},
		{repo: []string{"channel.regex"}, mono: "regex", doc: "`match` is a regular expression.", example: "true", initial: "false", in: of(func(c *Channel) any { return &c.Regex })},
		{repo: []string{"bridges.mqtt.enable"}, mono: "mqtt", doc: "MQTT clients can use it.", example: "true", initial: "false", in: of(func(c *Channel) any { return &c.MQTT })},
		{repo: []string{"bridges.websocket.enable"}, mono: "websocket", doc: "Browsers can use it.", example: "true", initial: "false", in: of(func(c *Channel) any { return &c.WebSocket })},
	},
	finish: finishChannel,
}

var services = table{
	kind: "services", one: "service", short: "protocol", doc: "A protocol between peers, served by functions of type p2p.",
	fields: []field{
		{repo: []string{"protocol"}, mono: "protocol", doc: "The protocol's name.", example: "/orders/v1", required: true, rule: wordRule, in: of(func(s *Service) any { return &s.Protocol })},
	},
}

var smartops = table{
	kind: "smartops", one: "smartop", doc: "Read, and refused: they do not exist here yet.",
	fields: []field{
		{repo: []string{"source"}, mono: "source", doc: "Where the code is.", example: ".", rule: sourceRule, in: of(func(s *SmartOp) any { return &s.Source })},
		{repo: []string{"execution.timeout"}, mono: "timeout", doc: "How long a run may take.", example: "10s", rule: durationRule, in: of(func(s *SmartOp) any { return &s.Timeout })},
		{repo: []string{"execution.memory"}, mono: "memory", doc: "How much memory a run may have.", example: "32MB", rule: sizeRule, in: of(func(s *SmartOp) any { return &s.Memory })},
		{repo: []string{"execution.call"}, mono: "call", doc: "The exported function that is called.", example: "check", rule: symbolRule, in: of(func(s *SmartOp) any { return &s.Call })},
	},
}
