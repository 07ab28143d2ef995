package shape

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/taucloud/tau/transport/membership"
)

// Secret stands for a secret that is not shown.
const Secret = "(secret)"

// Masked is a copy without secrets, for people.
func (s *Shape) Masked() *Shape {
	masked := *s
	for _, f := range fields {
		if f.secret && *f.text(&masked) != "" {
			*f.text(&masked) = Secret
		}
	}
	return &masked
}

var plainText = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9/._-]*$`)

func quoted(text string) string {
	if plainText.MatchString(text) && !slices.Contains([]string{"null", "true", "false", "yes", "no"}, strings.ToLower(text)) {
		return text
	}
	return strconv.Quote(text)
}

// YAML is the file, with a comment for each key.
func (s *Shape) YAML() []byte {
	var b strings.Builder
	b.WriteString("# The configuration of one node. tau config validate checks it, tau config schema describes it.\n")
	for _, f := range fields {
		values := f.values(s)
		fmt.Fprintf(&b, "\n# %s\n", f.doc)
		switch {
		case len(values) == 0 && f.list != nil:
			fmt.Fprintf(&b, "# %s: []\n", f.key)
		case len(values) == 0:
			fmt.Fprintf(&b, "# %s:\n", f.key)
		case f.text != nil:
			fmt.Fprintf(&b, "%s: %s\n", f.key, quoted(values[0]))
		default:
			fmt.Fprintf(&b, "%s:\n", f.key)
			for _, v := range values {
				fmt.Fprintf(&b, "  - %s\n", quoted(v))
			}
		}
	}
	return []byte(b.String())
}

// MarshalJSON has the keys of the file.
func (s *Shape) MarshalJSON() ([]byte, error) {
	out := map[string]any{}
	for _, f := range fields {
		switch values := f.values(s); {
		case len(values) == 0:
		case f.text != nil:
			out[f.key] = values[0]
		default:
			out[f.key] = values
		}
	}
	return json.Marshal(out)
}

// Schema is the JSON Schema of the file.
func Schema() map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range fields {
		text := map[string]any{"type": "string"}
		if f.enum != nil {
			text["enum"] = f.enum()
		}
		one := text
		if f.list != nil {
			one = map[string]any{"type": "array", "items": text, "uniqueItems": true, "maxItems": entriesMax}
		}
		one["description"] = f.doc
		properties[f.key] = one
		if f.required {
			required = append(required, f.key)
		}
	}
	return map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "The configuration of one node of a tau cloud",
		"type": "object", "additionalProperties": false, "required": required, "properties": properties,
	}
}

// Fits says what the invitation of a shape does not allow.
func (s *Shape) Fits() (what, hint string) {
	ticket, err := membership.ParseTicket(s.Invitation)
	if err != nil {
		return checkInvitation(s.Invitation)
	}
	i, err := membership.OpenInvitation(ticket.Invitation)
	switch {
	case err != nil:
		return checkInvitation(s.Invitation)
	case i.Cloud != s.Network:
		return "it is for " + i.Cloud + ", not for " + s.Network, "ask for one of that cloud"
	case ticket.CloudKey.String() != s.CloudKey:
		return "it comes from a cloud with another key", "generate the file anew with the invitation"
	}
	for _, service := range s.Services {
		if !slices.Contains(i.Services, service) {
			return fmt.Sprintf("it does not allow %s", service), "it allows " + strings.Join(i.Services, ", ") + ": choose among them with --services, or ask for another"
		}
	}
	return "", ""
}
