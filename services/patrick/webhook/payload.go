package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// readGitHub reads a push of GitHub's shape, which Gitea has taken over: one ref each.
func readGitHub(d *Delivery, body []byte) error {
	var p struct {
		Ref, Before, After string
		Forced             bool
		Repository         struct {
			ID            json.Number
			FullName      string `json:"full_name"`
			DefaultBranch string `json:"default_branch"`
		}
	}
	if err := decode(body, &p); err != nil {
		return err
	}
	if err := d.about(p.Repository.ID.String(), p.Repository.FullName, p.Repository.DefaultBranch); err != nil || d.Event != "push" {
		return err
	}
	return d.update(p.Ref, p.Before, p.After, p.Forced)
}

// readGitLab reads a push of branches or tags, one ref each.
func readGitLab(d *Delivery, body []byte) error {
	var p struct {
		Kind    string `json:"object_kind"`
		Ref     string
		Before  string
		After   string
		Project struct {
			ID            json.Number
			Path          string `json:"path_with_namespace"`
			DefaultBranch string `json:"default_branch"`
		}
	}
	if err := decode(body, &p); err != nil {
		return err
	}
	push := p.Kind == "push" || p.Kind == "tag_push"
	if err := d.about(p.Project.ID.String(), p.Project.Path, p.Project.DefaultBranch); err != nil || !push {
		return err
	}
	return d.update(p.Ref, p.Before, p.After, false)
}

// bitbucketRef is a branch or tag at one side of a change; nil is none.
type bitbucketRef struct {
	Type, Name string
	Target     struct{ Hash string }
}

func (r *bitbucketRef) ref() string {
	prefix := map[string]string{"branch": branches, "tag": tags}
	if r == nil || prefix[r.Type] == "" {
		return ""
	}
	return prefix[r.Type] + r.Name
}

func (r *bitbucketRef) commit() string {
	if r == nil {
		return ""
	}
	return r.Target.Hash
}

// readBitbucket reads a push of any number of refs.
func readBitbucket(d *Delivery, body []byte) error {
	var p struct {
		Repository struct {
			UUID     string
			FullName string `json:"full_name"`
		}
		Push struct {
			Changes []struct {
				New, Old *bitbucketRef
				Forced   bool
			}
		}
	}
	if err := decode(body, &p); err != nil {
		return err
	}
	if err := d.about(p.Repository.UUID, p.Repository.FullName, ""); err != nil || d.Event != "repo:push" {
		return err
	}
	for _, c := range p.Push.Changes {
		ref := c.New.ref()
		if c.New == nil { // it was deleted; "closed" says something else
			ref = c.Old.ref()
		}
		if err := d.update(ref, c.Old.commit(), c.New.commit(), c.Forced); err != nil {
			return err
		}
	}
	return nil
}

// readGeneric reads what a forge of one's own sends; its shape is in patrick's README.
func readGeneric(d *Delivery, body []byte) error {
	var p struct {
		Event      string
		Repository struct {
			ID, Name      string
			DefaultBranch string `json:"default_branch"`
		}
		Updates []struct {
			Ref, Before, After string
			Forced             bool
		}
	}
	if err := decode(body, &p); err != nil {
		return err
	}
	if d.Event = p.Event; d.Event != "" && !isName(d.Event) {
		return malformed("an event that is no name of at most 256 bytes")
	}
	if err := d.about(p.Repository.ID, p.Repository.Name, p.Repository.DefaultBranch); err != nil || d.Event != "push" {
		return err
	}
	for _, u := range p.Updates {
		if err := d.update(u.Ref, u.Before, u.After, u.Forced); err != nil {
			return err
		}
	}
	return nil
}

// decode reads a body. What is said of a wrong one is what was expected, with nothing of the body but where it is wrong.
func decode(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	if err == nil {
		return nil
	}
	what := "is not what this event has"
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		what = fmt.Sprintf("is no JSON, at byte %d of %d", syntax.Offset, len(body))
	case errors.As(err, &kind):
		found, _, _ := strings.Cut(kind.Value, " ") // after "number" come its digits
		what = fmt.Sprintf("has %s where %s is expected", oneOf(found), expected(kind.Type))
		if kind.Field != "" {
			what += ": " + strings.ToLower(kind.Field)
		}
	}
	return malformed("the body is not the JSON of this event: it " + what)
}

// oneOf is what a decoder calls a value, in words.
func oneOf(value string) string {
	if words := map[string]string{"array": "a list", "object": "an object", "string": "a string", "number": "a number", "bool": "true or false"}; words[value] != "" {
		return words[value]
	}
	return "another value"
}

// expected is what fits into a type, in words.
func expected(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[json.Number]():
		return "a number"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.String:
		return "a string"
	}
	return "an object"
}

// about sets the repository. An event of a push must have one.
func (d *Delivery) about(id, name, branch string) error {
	for _, v := range []string{id, name, branch} {
		if v != "" && !isName(v) {
			return malformed("a repository whose id, name or default branch is no name of at most 256 bytes")
		}
	}
	d.Repository = Repository{ID: id, Name: name, DefaultBranch: branch}
	return nil
}

// update adds a ref that has moved. One that is neither a branch nor a tag, such as a note, is none of ours.
func (d *Delivery) update(ref, before, after string, forced bool) error {
	u := Update{Ref: ref, Before: commit(before), After: commit(after), Forced: forced}
	switch {
	case d.Repository.ID == "":
		return malformed("a push of no repository")
	case u.Before == bad || u.After == bad:
		return malformed("a commit that is not 40 or 64 hexadecimal digits")
	case u.Branch() == "" && u.Tag() == "", u.Before == "" && u.After == "":
		return nil
	case !isRef(ref) || len(d.Updates) == UpdatesMax:
		d.Partial = true // and no error: a forge stops using a hook that answers with those
		return nil
	}
	d.Updates = append(d.Updates, u)
	return nil
}

// bad is what commit makes of what is no commit.
const bad = "?"

// commit is a commit's name, "" if it is the null one or not given.
func commit(name string) string {
	if name == "" {
		return ""
	}
	if len(name) != 40 && len(name) != 64 || strings.Trim(name, "0123456789abcdef") != "" {
		return bad
	}
	if strings.Trim(name, "0") == "" {
		return ""
	}
	return name
}

// isName reports whether a text can be shown and kept: not empty, in bounds, nothing that controls a terminal.
func isName(s string) bool {
	return s != "" && len(s) <= NameLenMax && utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// isRef reports whether Git allows the name of a branch or tag, by the rules of git-check-ref-format, and it
// can be shown and kept.
func isRef(ref string) bool {
	if !isName(ref) || strings.HasPrefix(ref, branches+"-") || strings.ContainsAny(ref, " ~^:?*[\\") || strings.Contains(ref, "..") || strings.Contains(ref, "@{") || strings.HasSuffix(ref, ".") {
		return false
	}
	for _, part := range strings.Split(ref, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}
