package up

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	taulive "github.com/taucloud/tau/cmd/tau/live"
	claims "github.com/taucloud/tau/project/route"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// Call is one request to a function, which a node hands to a substrate: no port of HTTP is asked, and no name.
type Call struct {
	Project string `json:"project" in:"path"`
	Branch  string `json:"branch,omitempty"`
	// Function is its name, behind that of its application and a slash if it has one.
	Function string `json:"function"`
	// Method is left out for the first that the function answers: GET, if it does.
	Method string `json:"method,omitempty"`
	// Path may have a query. It is left out where the function's own has no parameters.
	Path   string              `json:"path,omitempty"`
	Header map[string][]string `json:"header,omitempty"`
	// Body is text, or, with Base64, in that form.
	Body   string `json:"body,omitempty"`
	Base64 bool   `json:"base64,omitempty"`
}

// Called is the answer of a function.
type Called struct {
	Function string              `json:"function"`
	Method   string              `json:"method"`
	Host     string              `json:"host"`
	Path     string              `json:"path"`
	Status   int                 `json:"status"`
	Header   map[string][]string `json:"header"`
	// Body is text, or, with Base64, in that form. Cut: the function has answered more than that.
	Body    string `json:"body"`
	Base64  bool   `json:"base64,omitempty"`
	Cut     bool   `json:"cut,omitempty"`
	Node    string `json:"node"`
	Version string `json:"version"`
	Cold    bool   `json:"cold,omitempty"`
	// Took is until the end of the answer, in microseconds.
	Took int64 `json:"took"`
}

// callLenMax bounds the request of a call, in bytes.
const callLenMax = 6 << 20

// call finds where a function answers, and asks it.
func call(ctx context.Context, u *Universe, in Call) (Called, error) {
	if err := patrickapi.CheckProject(in.Project); err != nil {
		return Called{}, badRequest(err)
	}
	in.Branch = branchOr(in.Branch)
	var c taulive.Claims
	if err := u.ask(ctx, []string{"tns"}, "claims", nil, taulive.BranchRequest{Project: in.Project, Branch: in.Branch}, &c); err != nil {
		return Called{}, err
	}
	at, err := in.where(c.Claims)
	if err != nil {
		return Called{}, badRequest(err)
	}
	body := []byte(in.Body)
	if in.Base64 {
		if body, err = base64.StdEncoding.DecodeString(in.Body); err != nil {
			return Called{}, badRequest(fmt.Errorf("body: %w", err))
		}
	}
	req := taulive.CallRequest{Host: at.Host, Method: in.Method, Path: in.Path, Header: in.Header, Body: body}
	var resp taulive.CallResponse
	if err := u.askThose(ctx, gatewayapi.Service, "call", req, &resp); err != nil {
		return Called{}, err
	}
	out := Called{Function: at.Target, Method: in.Method, Host: at.Host, Path: in.Path, Status: resp.Status, Header: resp.Header, Cut: resp.Cut,
		Node: resp.Node, Version: resp.Version, Cold: resp.Cold, Took: resp.Took.Microseconds()}
	if out.Header == nil {
		out.Header = map[string][]string{}
	}
	if out.Body = string(resp.Body); !utf8.Valid(resp.Body) {
		out.Body, out.Base64 = base64.StdEncoding.EncodeToString(resp.Body), true
	}
	return out, nil
}

// claims are those of the function that is meant.
func (in *Call) claims(list []claims.Claim) (own []claims.Claim, err error) {
	var names []string
	for _, c := range list {
		name, is := functionOf(c.Target)
		if !is {
			continue
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		if name == in.Function {
			own = append(own, c)
		}
	}
	switch {
	case len(own) == 0 && len(names) == 0:
		err = noSuch{fmt.Errorf("branch %s of %s has no functions that answer requests", in.Branch, in.Project)}
	case len(own) == 0:
		err = noSuch{fmt.Errorf("branch %s of %s has no function %.64q that answers requests: %s", in.Branch, in.Project, in.Function, suggest(in.Function, names))}
	}
	return own, err
}

// where is the claim by which a function is reached. What was left out of the call is filled in.
func (in *Call) where(list []claims.Claim) (at claims.Claim, err error) {
	own, err := in.claims(list)
	if err != nil {
		return at, err
	}
	in.Method = strings.ToUpper(in.Method)
	if in.Method == "" {
		in.Method = usualMethod(own, in.Body != "")
	}
	if !slices.ContainsFunc(own, func(c claims.Claim) bool { return slices.Contains(c.Methods, in.Method) }) {
		return at, fmt.Errorf("function %s does not answer %.20s: it answers %s", in.Function, in.Method, answers(own))
	}
	if in.Path != "" {
		plain, _, _ := strings.Cut(in.Path, "?")
		for _, c := range own {
			if best, _, is := claims.Best(list, c.Host, in.Method, plain); is && best.Target == c.Target {
				return best, nil
			}
		}
		return at, fmt.Errorf("function %s does not answer %s %.200s: it answers %s", in.Function, in.Method, plain, answers(own))
	}
	for _, c := range own {
		if slices.Contains(c.Methods, in.Method) && !strings.ContainsAny(c.Path, "{*") {
			in.Path = c.Path
			return c, nil
		}
	}
	return at, fmt.Errorf("say with which path, as function %s answers %s", in.Function, answers(own))
}

// usualMethod is GET, or POST with a body, if the function answers that; else its first.
func usualMethod(own []claims.Claim, body bool) string {
	usual := http.MethodGet
	if body {
		usual = http.MethodPost
	}
	for _, c := range own {
		if slices.Contains(c.Methods, usual) {
			return usual
		}
	}
	return own[0].Methods[0]
}

// answersMax bounds the claims that a message lists.
const answersMax = 8

func answers(own []claims.Claim) string {
	var texts []string
	for _, c := range own[:min(len(own), answersMax)] {
		text := strings.Join(c.Methods, "|") + " " + c.Path
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, ", ")
}

// functionOf is the name of the function of an entry: behind its application's, if it has one.
func functionOf(target string) (name string, is bool) {
	application, name, within := strings.Cut(strings.TrimPrefix(target, "applications/"), "/functions/")
	if within && strings.HasPrefix(target, "applications/") {
		return application + "/" + name, true
	}
	return strings.CutPrefix(target, "functions/")
}

// askThose puts a question to nodes that run a service, to the next one if that does not answer.
func (u *Universe) askThose(ctx context.Context, service, path string, post, into any) error {
	var errs []error
	some := false
	for _, m := range u.members {
		if !m.runs(service) {
			continue
		}
		some = true
		if state, _, _, _ := m.is(); state != stateUp {
			continue
		}
		err := m.client().Ask(ctx, path, post, nil, into)
		if err == nil || isFailure(err) || ctx.Err() != nil {
			return err
		}
		errs = append(errs, fmt.Errorf("%s: %w", m.Name, err))
	}
	switch {
	case !some:
		return otherwise{fmt.Errorf("no node of this universe runs %s, by which functions are asked", service)}
	case len(errs) == 0:
		return fmt.Errorf("no node that runs %s is up: dreamland status shows them", service)
	}
	return cmp.Or(errors.Join(errs...), ctx.Err())
}
