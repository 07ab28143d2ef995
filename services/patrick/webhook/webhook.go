// Package webhook reads what a forge - the place where Git repositories live - sends when somebody has
// pushed: it proves that the forge has sent it, and then says which refs have moved, alike for all
// forges. It is pure: no clocks, no stores, no network.
//
// The shapes are those of GitHub, GitLab, Gitea (and Forgejo), Bitbucket Cloud, and a generic one that is
// signed as the Standard Webhooks specification says.
//
// What a delivery proves is little: of most forges neither its id nor its time is signed, so whoever
// has seen one can send it again, under another id and years later. A caller takes it as news that
// refs may have moved, and asks the forge where they are.
package webhook

import (
	"net/textproto"
	"strings"
	"time"
)

// Forge says whose shapes a hook's deliveries have.
type Forge string

// The forges. Forgejo sends what Gitea does.
const (
	GitHub    Forge = "github"
	GitLab    Forge = "gitlab"
	Gitea     Forge = "gitea"
	Bitbucket Forge = "bitbucket"
	Generic   Forge = "generic"
)

// Bounds of what is read.
const (
	// BodyLenMax bounds a delivery's body, in bytes: GitHub sends none that is longer.
	BodyLenMax = 25 << 20
	// SecretLenMin and SecretLenMax bound a secret, in bytes. Shorter ones could be guessed.
	SecretLenMin, SecretLenMax = 16, 256
	// SecretsMax bounds the secrets of a hook: the one of today, and those that it replaces.
	SecretsMax = 4
	// UpdatesMax bounds the refs of one delivery; of a longer one the rest is left out, and Partial
	// says so.
	UpdatesMax = 256
	// NameLenMax bounds the names of repositories and refs, ids and events, in bytes.
	NameLenMax = 256
	// SkewMax is by how much the time of a signed delivery may differ from the reader's clock.
	SkewMax = 5 * time.Minute
)

// Hook is what is known of a webhook.
type Hook struct {
	Forge Forge
	// Secrets are what its deliveries may be signed with: the one of today and, while one is replaced,
	// those before. One that begins with "whsec_" is a signing key in base64, as Standard Webhooks
	// writes it. Those of other lengths than the bounds prove nothing.
	Secrets []string
}

// Delivery is what a forge has told.
type Delivery struct {
	// ID is the forge's name for the delivery, "" if it gave none. It is not proven, and a forge may
	// deliver the same event under two ids.
	ID string
	// Event is what happened, in the forge's own words. Only pushes have Updates.
	Event      string
	Repository Repository
	// Updates are the refs that have moved, branches and tags only, in the order of the forge.
	Updates []Update
	// Partial: there are updates that are not among them, too many or of names beyond the bounds.
	Partial bool
}

// Repository is where it happened. All of it is "" if the event is about none.
type Repository struct {
	// ID stays when the repository is renamed: a number, or a UUID in braces on Bitbucket.
	ID string
	// Name is OWNER/NAME.
	Name          string
	DefaultBranch string // "" if the forge does not say
}

// Update is a ref that has moved.
type Update struct {
	// Ref is the whole name, refs/heads/main.
	Ref string
	// Before and After are commits, 40 or 64 hexadecimal digits; "" is none: the ref was made, or deleted.
	Before, After string
	// Forced: what was there before is no ancestor of what is there now, says the forge.
	Forced bool
}

const (
	branches = "refs/heads/"
	tags     = "refs/tags/"
)

// Branch is the branch that has moved, "" if it is a tag.
func (u Update) Branch() string { return under(branches, u.Ref) }

// Tag is the tag that has moved, "" if it is a branch.
func (u Update) Tag() string { return under(tags, u.Ref) }

func under(prefix, ref string) string {
	if name, ok := strings.CutPrefix(ref, prefix); ok {
		return name
	}
	return ""
}

// Reason is why a delivery is refused.
type Reason uint8

// The reasons.
const (
	Unproven  Reason = iota + 1 // it is not signed as the hook demands
	Malformed                   // it is proven, and is no event of the forge
	TooLarge                    // its body has more than BodyLenMax bytes
	NotJSON                     // the hook sends another content type
	NoForge                     // the hook names no forge that is known here
)

// Error says that a delivery is refused. Text may be shown to whoever sent it, and holds nothing of secrets
// and signatures.
type Error struct {
	Reason Reason
	Text   string
}

func (e *Error) Error() string { return e.Text }

// Read proves that a delivery comes from a hook's forge and reads it. now is the reader's wall clock;
// it matters where the forge signs a time. An event that is no push is no error: it has no updates.
// Nothing of the body is looked at before it is proven. Errors are of type *Error.
func Read(h Hook, header textproto.MIMEHeader, body []byte, now time.Time) (Delivery, error) {
	f, known := forges[h.Forge]
	switch {
	case !known:
		return Delivery{}, &Error{NoForge, "the hook is of no known forge"}
	case len(body) > BodyLenMax:
		return Delivery{}, &Error{TooLarge, "a delivery has at most 25 MiB"}
	case !isJSON(header.Get("Content-Type")):
		return Delivery{}, &Error{NotJSON, "expected application/json: it is the content type in the settings of the hook"}
	}
	if err := f.prove(h, header, body, now); err != nil {
		return Delivery{}, err
	}
	d := Delivery{ID: first(header, f.ids), Event: first(header, f.events)}
	if !isName(d.ID) && d.ID != "" || !isName(d.Event) && d.Event != "" {
		return Delivery{}, malformed("an id or an event that is no name of at most 256 bytes")
	}
	if err := f.read(&d, body); err != nil {
		return Delivery{}, err
	}
	return d, nil
}

// forge is how one forge does it.
type forge struct {
	// ids and events are the headers with the delivery's id and the event; the first that is there counts.
	ids, events []string
	prove       func(h Hook, header textproto.MIMEHeader, body []byte, now time.Time) error
	read        func(d *Delivery, body []byte) error
}

var forges = map[Forge]forge{
	GitHub: {
		[]string{"X-Github-Delivery"}, []string{"X-Github-Event"},
		hmacIn("sha256=", "X-Hub-Signature-256"), readGitHub,
	},
	Gitea: {
		[]string{"X-Forgejo-Delivery", "X-Gitea-Delivery"}, []string{"X-Forgejo-Event", "X-Gitea-Event"},
		hmacIn("", "X-Forgejo-Signature", "X-Gitea-Signature"), readGitHub,
	},
	GitLab: {
		[]string{"Idempotency-Key", "Webhook-Id", "X-Gitlab-Event-Uuid"}, []string{"X-Gitlab-Event"},
		tokenOrSigned, readGitLab,
	},
	Bitbucket: {
		[]string{"X-Request-Uuid"}, []string{"X-Event-Key"},
		hmacIn("sha256=", "X-Hub-Signature"), readBitbucket,
	},
	Generic: {
		[]string{"Webhook-Id"}, nil,
		signed, readGeneric,
	},
}

func first(header textproto.MIMEHeader, names []string) string {
	for _, name := range names {
		if v := header.Get(name); v != "" {
			return v
		}
	}
	return ""
}

func malformed(text string) error { return &Error{Malformed, text} }
