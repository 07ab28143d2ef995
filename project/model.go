// Package project is what users keep in Git: its model, strict reading of both of its forms - a configuration
// repository, and a single tau.yaml beside the code -, printing, its JSON Schema, and the compiler to the entries that
// are published. It is pure: it knows no service, no clock and no network; what it reads is an fs.FS.
//
// One table of fields (tables.go) is behind the reader, the printer, the schema and the reference in docs/projects.md.
package project

// Project is what a repository says, with all defaults filled in. Its lists are sorted by name, lists of words as well
// but for paths, which keep their order.
type Project struct {
	ID          string           `json:"id,omitempty"`
	Name        string           `json:"name"`
	Description string           `json:"description,omitempty"`
	Tags        []string         `json:"tags,omitempty"`
	Email       string           `json:"email,omitempty"`
	Clouds      map[string]Cloud `json:"clouds,omitempty"` // by domain name of a cloud
	Scope
	Applications []Application `json:"applications,omitempty"`
}

// Cloud is what a project has at a cloud.
type Cloud struct {
	Account string `json:"account,omitempty"`
	Plan    string `json:"plan,omitempty"`
}

// Application is a part of a project with resources of its own. It sees those of the project as well, its own first.
type Application struct {
	Base
	Scope
}

// Scope is what a project or an application has.
type Scope struct {
	Domains   []Domain   `json:"domains,omitempty"`
	Functions []Function `json:"functions,omitempty"`
	Websites  []Website  `json:"websites,omitempty"`
	Libraries []Library  `json:"libraries,omitempty"`
	Databases []Database `json:"databases,omitempty"`
	Storages  []Storage  `json:"storages,omitempty"`
	Messaging []Channel  `json:"messaging,omitempty"`
	Services  []Service  `json:"services,omitempty"`
	SmartOps  []SmartOp  `json:"smartops,omitempty"`
}

// Base is what every resource has.
type Base struct {
	// Name is that of the file, or of the key in tau.yaml.
	Name string `json:"name"`
	// ID is "" if nobody gave one. No two resources of a project have the same.
	ID          string   `json:"id,omitempty"`
	Description string   `json:"description,omitempty"`
	Tags        []string `json:"tags,omitempty"`
}

func (b *Base) base() *Base { return b }

// resource is a pointer to one of the types below.
type resource interface{ base() *Base }

// Domain is a domain name that functions and websites are served at.
type Domain struct {
	Base
	FQDN string `json:"fqdn"`
	// Certificate is auto (the cloud gets one) or inline: then Cert and Key are PEM. Key is never published.
	Certificate string `json:"certificate"`
	Cert        string `json:"cert,omitempty"`
	Key         string `json:"-" cbor:"-"`
}

// What makes a function run.
const (
	TriggerHTTP   = "http"
	TriggerHTTPS  = "https"
	TriggerPubSub = "pubsub"
	TriggerP2P    = "p2p"
	TriggerCron   = "cron"
)

// Function is code that runs when something happens.
type Function struct {
	Base
	Type string `json:"type"`
	// Local: only what happens on the same node counts.
	Local   bool     `json:"local,omitempty"`
	Methods []string `json:"methods,omitempty"` // upper case
	// Paths are patterns, see route.Parse.
	Paths []string `json:"paths,omitempty"`
	// Domains are names of domains; without one a function is served at the project's own host.
	Domains  []string `json:"domains,omitempty"`
	Channel  string   `json:"channel,omitempty"`
	Protocol string   `json:"protocol,omitempty"`
	Command  string   `json:"command,omitempty"`
	// Cron are moments at which it runs as well, whatever its type.
	Cron []string `json:"cron,omitempty"`
	// Source is "." (the folder of its name), "./folder" or "libraries/name".
	Source  string   `json:"source"`
	Timeout Duration `json:"timeout"`
	Memory  Size     `json:"memory"`
	// Call is the exported function that is called.
	Call string `json:"call"`
	// Concurrency bounds how many requests run at once on a node; 0 is up to the node.
	Concurrency int               `json:"concurrency,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
	// Secrets are names: their values are the cloud's to keep.
	Secrets []string `json:"secrets,omitempty"`
	// Outbound are the hosts on the internet that it may send requests to and ask names of; without any, none.
	Outbound []string `json:"outbound,omitempty"`
	Build    Build    `json:"build,omitzero" cbor:"-"`
}

// Build is how the code of a folder is built, where tau.yaml says it; otherwise its files do. It is not published.
type Build struct {
	// Toolchain is the one to take where the files would do for several. "": by the files, or by Steps.
	Toolchain string `json:"toolchain,omitempty"`
	// Steps are commands for a shell, one after the other, in the folder; the others are about them. Those below keep their order.
	Steps       []string          `json:"steps,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
	// Network: they need it. The operator has to allow it.
	Network bool `json:"network,omitempty"`
	// Output is what they make, a folder or a file within the folder of the code; "": what they leave in $OUT.
	Output string `json:"output,omitempty"`
}

// IsZero reports whether nothing is said.
func (b Build) IsZero() bool {
	return b.Toolchain == "" && len(b.Steps) == 0 && len(b.Environment) == 0 && !b.Network && b.Output == ""
}

// Code is where the code of a website or of a library is: in a repository of its own, or, without one, in a folder of
// the project's.
type Code struct {
	Path       string `json:"path,omitempty"`
	Branch     string `json:"branch,omitempty"`
	GithubID   string `json:"github-id,omitempty"`
	GithubName string `json:"github-name,omitempty"`
	Repository string `json:"repository,omitempty"`
}

// Here reports whether the code is in the project's own repository.
func (c *Code) Here() bool { return c.GithubID == "" && c.GithubName == "" && c.Repository == "" }

// Website is a tree of files.
type Website struct {
	Base
	Code
	Domains []string `json:"domains,omitempty"`
	Paths   []string `json:"paths"`
	// SPA: what is not there is answered with index.html.
	SPA   bool  `json:"spa"`
	Build Build `json:"build,omitzero" cbor:"-"`
}

// Library is code that functions use.
type Library struct {
	Base
	Code
	Build Build `json:"build,omitzero" cbor:"-"`
}

// Database holds keys and values.
type Database struct {
	Base
	// Match is the name by which code opens it, or, if Regex, what such names look like.
	Match string `json:"match"`
	Regex bool   `json:"regex,omitempty"`
	// Access is who may use it: all, subnet or host.
	Access        string `json:"access"`
	Size          Size   `json:"size"`
	EncryptionKey string `json:"-" cbor:"-"`
	Encryption    string `json:"encryption,omitempty"`
}

// The types of storages.
const (
	StorageObject    = "object"
	StorageStreaming = "streaming"
)

// Storage holds files.
type Storage struct {
	Base
	Match      string   `json:"match"`
	Regex      bool     `json:"regex,omitempty"`
	Access     string   `json:"access"`
	Type       string   `json:"type"`
	Size       Size     `json:"size"`
	Versioning bool     `json:"versioning,omitempty"`
	TTL        Duration `json:"ttl,omitempty"`
}

// Channel is what is published to, and subscribed to.
type Channel struct {
	Base
	Local     bool   `json:"local,omitempty"`
	Match     string `json:"match"`
	Regex     bool   `json:"regex,omitempty"`
	MQTT      bool   `json:"mqtt,omitempty"`
	WebSocket bool   `json:"websocket,omitempty"`
}

// Service is a protocol that functions serve between peers.
type Service struct {
	Base
	Protocol string `json:"protocol"`
}

// SmartOp is read, and refused: there are none yet.
type SmartOp struct {
	Base
	Source  string   `json:"source,omitempty"`
	Timeout Duration `json:"timeout,omitempty"`
	Memory  Size     `json:"memory,omitempty"`
	Call    string   `json:"call,omitempty"`
}

// Ref names a resource of a project.
type Ref struct{ Application, Kind, Name string }

// String is the path of the resource's entry: "functions/ping", "applications/shop/functions/ping".
func (r Ref) String() string {
	if r.Application != "" {
		return "applications/" + r.Application + "/" + r.Kind + "/" + r.Name
	}
	return r.Kind + "/" + r.Name
}
