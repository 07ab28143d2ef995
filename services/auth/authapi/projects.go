package authapi

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/ask"
)

// Bounds of projects, repositories and secrets.
const (
	ProjectsMax     = 1024
	RepositoriesMax = 4096
	// BranchesMax bounds the patterns of branches of a repository.
	BranchesMax = 16
	// BuildSecretsMax bounds the build secrets of a project, and its function secrets.
	BuildSecretsMax = 64
	// SecretVersionsMax bounds the versions of a secret that count at once: of more, the oldest ends.
	SecretVersionsMax = 4
	// SecretLenMax bounds a secret, in bytes.
	SecretLenMax = 8 << 10
	// OverlapMax bounds for how long a secret counts that was replaced, in seconds.
	OverlapMax = 30 * 24 * 3600
	// AuditMax bounds the entries of the audit that are kept.
	AuditMax = 4096
	// RecordPageMax bounds the records of one answer.
	RecordPageMax = 64

	knownHostsLenMax = 16 << 10
)

// Project is what belongs together: what is published under one name, by whoever may.
type Project struct {
	Name string `cbor:"1,keyasint"`
	Made int64  `cbor:"2,keyasint"` // seconds since 1970
}

// Repository is one of a project, at a forge.
type Repository struct {
	// Name is the cloud's own for it: no two have the same.
	Name    string `cbor:"1,keyasint"`
	Project string `cbor:"2,keyasint"`
	// URL is where it is fetched: https://, http://, ssh:// or file://, or user@host:path. It holds no secret.
	URL string `cbor:"3,keyasint"`
	// Forge says whose webhooks it has, one of webhook.Forge.
	Forge string `cbor:"4,keyasint"`
	// ForgeName is its OWNER/NAME or its id at the forge: deliveries about another one are refused. "": the path of URL.
	ForgeName string `cbor:"5,keyasint,omitempty"`
	// Branches are patterns of those that are built, as in path.Match.
	Branches []string `cbor:"6,keyasint"`
	// KnownHosts are the host keys that count for ssh, in the form of known_hosts.
	KnownHosts []byte `cbor:"7,keyasint,omitempty"`
	// NewestWins: a push makes older jobs of its branch superfluous.
	NewestWins bool `cbor:"8,keyasint,omitempty"`
	// Hook is the name of its webhook, which the auth makes that stores it first. It is not a secret.
	Hook string `cbor:"9,keyasint,omitempty"`
	Made int64  `cbor:"10,keyasint"` // seconds since 1970
	// Holds says what of the project is in it.
	Holds build.Holds `cbor:"11,keyasint,omitempty"`
}

// At is the repository's name at its forge.
func (r Repository) At() string {
	if r.ForgeName != "" {
		return r.ForgeName
	}
	url := strings.TrimSuffix(strings.TrimRight(r.URL, "/"), ".git")
	if _, rest, found := strings.Cut(url, "://"); found {
		_, url, _ = strings.Cut(rest, "/")
	} else if _, rest, found := strings.Cut(url, ":"); found {
		url = rest
	}
	return strings.Trim(url, "/")
}

// forges are those of services/patrick/webhook, which a test compares.
var forges = []string{"bitbucket", "generic", "gitea", "github", "gitlab"}

// CheckRepository says what is wrong with one that somebody has written, nil if nothing is.
func CheckRepository(r Repository) error {
	wrong := ""
	overSSH, wrongAddress := project.CheckAddress(r.URL)
	switch {
	case project.CheckIdentifier(r.Name) != nil:
		wrong = "the name of a repository has letters, digits, - and _, up to 128 of them"
	case project.CheckIdentifier(r.Project) != nil:
		wrong = "that is no name of a project"
	case wrongAddress != nil:
		wrong = wrongAddress.Error()
	case !slices.Contains(forges, r.Forge):
		wrong = "expected a forge of " + strings.Join(forges, ", ")
	case len(r.ForgeName) > 256 || !isText(r.ForgeName):
		wrong = "the name at the forge has at most 256 bytes"
	case len(r.Branches) == 0 || len(r.Branches) > BranchesMax || slices.ContainsFunc(r.Branches, badPattern):
		wrong = "expected 1 to 16 patterns of branches, such as main or release/*"
	case r.Holds != build.Everything && !slices.Contains(build.HoldsAll, r.Holds):
		wrong = "a repository holds everything of its project, its configuration, code of its functions, or a resource: a website or a library"
	case len(r.KnownHosts) > knownHostsLenMax:
		wrong = "the known hosts are too many: at most 16 KiB"
	case overSSH && len(bytes.TrimSpace(r.KnownHosts)) == 0:
		wrong = "over ssh no host is believed whose key is not known: give the keys of the forge's host (--known-hosts), as ssh-keyscan HOST prints them"
	case badHosts(r.KnownHosts) > 0:
		wrong = fmt.Sprintf("line %d of the known hosts is none: expected HOST KIND KEY, as ssh-keyscan prints it", badHosts(r.KnownHosts))
	}
	if wrong != "" {
		return transport.New(transport.Invalid, "auth/repository", wrong)
	}
	return nil
}

func badPattern(p string) bool {
	_, err := path.Match(p, "")
	return err != nil || p == "" || len(p) > 256 || !isText(p)
}

func isText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xfffd })
}

// badHosts is the first line of known hosts that is no comment and no key of a host, 0 if there is none.
func badHosts(text []byte) int {
	for i, line := range bytes.Split(text, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		if _, _, _, _, _, err := ssh.ParseKnownHosts(line); err != nil {
			return i + 1
		}
	}
	return 0
}

// Kind is what a secret is for.
type Kind string

// The kinds of secrets.
const (
	// DeployKey opens a repository for reading: of 32 drawn bytes an ed25519 key pair is made. Monkeys that hold a job of the repository
	// get it, and patricks, who ask the forge where its branches are.
	DeployKey Kind = "deploy"
	// HookSecret signs the webhooks of a repository. Patricks get it.
	HookSecret Kind = "hook"
	// StatusToken lets patricks tell the forge what became of a commit of the repository.
	StatusToken Kind = "status"
	// BuildSecret is one of a project, by name: monkeys that hold a job of a repository of the project get it.
	BuildSecret Kind = "build"
	// FunctionSecret is one of a project, by name: substrates get it, and functions that name it as a variable of their environment.
	FunctionSecret Kind = "function"
)

// OfProject reports whether such secrets are of a project, and not of a repository.
func (k Kind) OfProject() bool { return k == BuildSecret || k == FunctionSecret }

var secretName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// SecretID names a secret. Owner is a repository, or, of a [Kind.OfProject], a project; only those have names of their own.
type SecretID struct {
	Kind  Kind   `cbor:"1,keyasint"`
	Owner string `cbor:"2,keyasint"`
	Name  string `cbor:"3,keyasint,omitempty"`
}

// Check says what is wrong with it, nil if nothing is.
func (id SecretID) Check() error {
	wrong := ""
	switch {
	case id.Kind != DeployKey && id.Kind != HookSecret && id.Kind != StatusToken && !id.Kind.OfProject():
		wrong = "expected a secret of deploy, hook, status, build or function"
	case project.CheckIdentifier(id.Owner) != nil:
		wrong = "that is no name of a repository or project"
	case id.Kind.OfProject() && !secretName.MatchString(id.Name):
		wrong = "a secret for builds or functions has the name of an environment variable: letters, digits and underscores"
	case !id.Kind.OfProject() && id.Name != "":
		wrong = "only secrets for builds and functions have names"
	}
	if wrong != "" {
		return transport.New(transport.Invalid, "auth/secret", wrong)
	}
	return nil
}

// SecretState is what people may know of a version of a secret.
type SecretState struct {
	ID      SecretID `cbor:"1,keyasint"`
	Version uint64   `cbor:"2,keyasint"`
	Made    int64    `cbor:"3,keyasint"`           // seconds since 1970
	Until   int64    `cbor:"4,keyasint,omitempty"` // when it ends or has ended, in seconds since 1970; 0: when it is replaced
	// Public is the public half of a deploy key, as forges take it.
	Public string `cbor:"5,keyasint,omitempty"`
	// Key names the vault key that it is sealed with.
	Key string `cbor:"6,keyasint,omitempty"`
}

// Done says on how many auths something is durable.
type Done struct {
	Copies int `cbor:"1,keyasint"`
}

// Named names a project, a repository or a webhook.
type Named struct {
	Name string `cbor:"1,keyasint"`
}

// PageRequest asks for the records after one; of a project only, if it names one.
type PageRequest struct {
	After   string `cbor:"1,keyasint,omitempty"`
	Project string `cbor:"2,keyasint,omitempty"`
}

// ProjectsResponse is a page, by name. More: there are others.
type ProjectsResponse struct {
	List []Project `cbor:"1,keyasint,omitempty"`
	More bool      `cbor:"2,keyasint,omitempty"`
}

// RepositoriesResponse is a page, by name. More: there are others.
type RepositoriesResponse struct {
	List []Repository `cbor:"1,keyasint,omitempty"`
	More bool         `cbor:"2,keyasint,omitempty"`
}

// RepositoryResponse is a repository as it is stored.
type RepositoryResponse struct {
	Repository Repository `cbor:"1,keyasint"`
	Copies     int        `cbor:"2,keyasint"`
}

// SecretPutRequest stores a new version of a secret, which replaces those before: they count for Overlap more seconds. The Value of a
// DeployKey is 32 bytes that nobody can foresee; that of a HookSecret has 16 to 256 bytes.
type SecretPutRequest struct {
	ID      SecretID `cbor:"1,keyasint"`
	Value   []byte   `cbor:"2,keyasint"`
	Overlap int64    `cbor:"3,keyasint,omitempty"`
}

// SecretPutResponse is what was stored.
type SecretPutResponse struct {
	State  SecretState `cbor:"1,keyasint"`
	Copies int         `cbor:"2,keyasint"`
}

// SecretsRequest asks for the versions of the secrets of a repository or project.
type SecretsRequest struct {
	Owner string `cbor:"1,keyasint"`
}

// SecretsResponse lists them, newest first of each.
type SecretsResponse struct {
	List []SecretState `cbor:"1,keyasint,omitempty"`
}

// SecretRevokeRequest ends a version of a secret at once, 0: all.
type SecretRevokeRequest struct {
	ID      SecretID `cbor:"1,keyasint"`
	Version uint64   `cbor:"2,keyasint,omitempty"`
}

// HookResponse is what a webhook is of, and what its deliveries may be signed with, newest first.
type HookResponse struct {
	Repository Repository `cbor:"1,keyasint"`
	Secrets    []string   `cbor:"2,keyasint,omitempty"`
}

// ForgeResponse is what a patrick needs to ask a forge about a repository, and to tell it what became of a commit. Keys are private
// deploy keys, newest first.
type ForgeResponse struct {
	Repository Repository `cbor:"1,keyasint"`
	Keys       [][]byte   `cbor:"2,keyasint,omitempty"`
	Token      string     `cbor:"3,keyasint,omitempty"`
}

// AuditEntry is what somebody has done.
type AuditEntry struct {
	At   int64          `cbor:"1,keyasint"` // nanoseconds since 1970
	By   transport.Peer `cbor:"2,keyasint"`
	What string         `cbor:"3,keyasint"`
	// Project and Object say of what: a repository, a secret without its value, a token's id.
	Project string `cbor:"4,keyasint,omitempty"`
	Object  string `cbor:"5,keyasint,omitempty"`
	ID      string `cbor:"6,keyasint,omitempty"`
}

// AuditRequest asks for the entries before one, "" for the newest; of a project only, if it names one.
type AuditRequest struct {
	Before  string `cbor:"1,keyasint,omitempty"`
	Project string `cbor:"2,keyasint,omitempty"`
}

// AuditResponse is a page of entries, newest first. More: there are older ones.
type AuditResponse struct {
	List []AuditEntry `cbor:"1,keyasint,omitempty"`
	More bool         `cbor:"2,keyasint,omitempty"`
}

// VaultRequest changes the vault keys. Forget: those are forgotten that nothing is sealed with any more; otherwise a new one is drawn,
// and everything is sealed anew with it.
type VaultRequest struct {
	Forget bool `cbor:"1,keyasint,omitempty"`
}

// VaultResponse names the vault keys, the one that seals first. Stale is how many secrets are sealed with another one still.
type VaultResponse struct {
	Keys  []string `cbor:"1,keyasint,omitempty"`
	Stale int      `cbor:"2,keyasint,omitempty"`
}

// pages collects a list that is told a page at a time, each after the key of the last one's end, until there is no more or there are max or more.
func pages[T any](max int, key func(T) string, page func(after string) (list []T, more bool, err error)) (all []T, err error) {
	for after := ""; len(all) < max; after = key(all[len(all)-1]) {
		list, more, err := page(after)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		if !more || len(list) == 0 {
			break
		}
	}
	return all, nil
}

// PutProject makes a project, if there is none of the name.
func (c *Client) PutProject(ctx context.Context, name string) (copies int, err error) {
	resp, err := ask.Call(ctx, c.asker, ProjectPut, "", callTimeout, Named{name})
	return resp.Copies, err
}

// Projects lists what one auth knows of projects, by name.
func (c *Client) Projects(ctx context.Context) ([]Project, error) {
	return pages(2*ProjectsMax, func(p Project) string { return p.Name }, func(after string) ([]Project, bool, error) {
		resp, err := ask.Call(ctx, c.asker, ProjectList, "", callTimeout, PageRequest{After: after})
		return resp.List, resp.More, err
	})
}

// DeleteProject forgets a project and its secrets. Conflict: it has repositories.
func (c *Client) DeleteProject(ctx context.Context, name string) (copies int, err error) {
	resp, err := ask.Call(ctx, c.asker, ProjectDelete, "", callTimeout, Named{name})
	return resp.Copies, err
}

// PutRepository stores a repository, or changes it. Conflict: it is another project's, or there is no room.
func (c *Client) PutRepository(ctx context.Context, r Repository) (RepositoryResponse, error) {
	return ask.Call(ctx, c.asker, RepositoryPut, "", callTimeout, r)
}

// Repositories lists what one auth knows of repositories, by name; of a project only, if it names one.
func (c *Client) Repositories(ctx context.Context, project string) ([]Repository, error) {
	return pages(2*RepositoriesMax, func(r Repository) string { return r.Name }, func(after string) ([]Repository, bool, error) {
		resp, err := ask.Call(ctx, c.asker, RepositoryList, "", callTimeout, PageRequest{After: after, Project: project})
		return resp.List, resp.More, err
	})
}

// DeleteRepository forgets a repository, its webhook and its secrets.
func (c *Client) DeleteRepository(ctx context.Context, name string) (copies int, err error) {
	resp, err := ask.Call(ctx, c.asker, RepositoryDelete, "", callTimeout, Named{name})
	return resp.Copies, err
}

// PutSecret stores a new version of a secret.
func (c *Client) PutSecret(ctx context.Context, req SecretPutRequest) (SecretPutResponse, error) {
	return ask.Call(ctx, c.asker, SecretPut, "", callTimeout, req)
}

// Secrets lists the versions of the secrets of a repository or a project, without their values.
func (c *Client) Secrets(ctx context.Context, owner string) ([]SecretState, error) {
	resp, err := ask.Call(ctx, c.asker, SecretList, "", callTimeout, SecretsRequest{Owner: owner})
	return resp.List, err
}

// RevokeSecret ends a version of a secret at once, all of them if it is 0. NotFound: no auth that was reached knows of it.
func (c *Client) RevokeSecret(ctx context.Context, id SecretID, version uint64) (copies int, err error) {
	resp, err := ask.Call(ctx, c.asker, SecretRevoke, "", callTimeout, SecretRevokeRequest{ID: id, Version: version})
	return resp.Copies, err
}

// Hook is what is known of a webhook. NotFound: no auth that was reached knows of it.
func (c *Client) Hook(ctx context.Context, hook string) (HookResponse, error) {
	return ask.Call(ctx, c.asker, Hook, "", callTimeout, Named{hook})
}

// Forge is what a patrick needs to ask a forge about a repository.
func (c *Client) Forge(ctx context.Context, repository string) (ForgeResponse, error) {
	return ask.Call(ctx, c.asker, Forge, "", callTimeout, Named{repository})
}

// Audit lists what was done, newest first, at most so many entries.
func (c *Client) Audit(ctx context.Context, project string, most int) ([]AuditEntry, error) {
	list, err := pages(most, func(e AuditEntry) string { return e.ID }, func(before string) ([]AuditEntry, bool, error) {
		resp, err := ask.Call(ctx, c.asker, Audit, "", callTimeout, AuditRequest{Before: before, Project: project})
		return resp.List, resp.More, err
	})
	return list[:min(len(list), most)], err
}

// ChangeVault replaces the vault key, or forgets those of which nothing is left.
func (c *Client) ChangeVault(ctx context.Context, req VaultRequest) (VaultResponse, error) {
	return ask.Call(ctx, c.asker, Vault, "", 2*callTimeout, req)
}
