package source

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/taucloud/tau/project/tree"
)

// Before a Git is told to fetch over HTTP, the address is looked at here: whether a Git serves it, and where it has moved to. A Git that looks for
// itself takes any page for a repository without branches - of which all would be deleted, then - and goes wherever a forge sends it.

const (
	// connectMax bounds how long a forge may take until it says its first word.
	connectMax = 30 * time.Second
	// redirectsMax bounds how often a forge may send us on.
	redirectsMax = 5
	// advertisement is what Git's servers answer with, to listing.
	advertisement = "application/x-git-upload-pack-advertisement"
	listing       = "/info/refs"
	service       = "service=git-upload-pack"
)

// served is where a repository is fetched that is at an address: the address, without a name of a user, or for HTTP where the forge itself says
// that it has moved to.
func (g *Git) served(ctx context.Context, address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return address, nil // of ssh's form, or refused before
	}
	u.User = nil // without a password nobody is let in by it
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String()+listing+"?"+service, nil)
	if err != nil {
		return "", &Error{Bad, tree.Shown(err.Error())}
	}
	req.Header.Set("Git-Protocol", "version=2") // of which the answer is short
	req.Header.Set("User-Agent", "git/2 (tau)")
	resp, err := outside.Do(req)
	if err != nil {
		return "", unreached(ctx, err)
	}
	_ = resp.Body.Close() // unread
	kind := Failed
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		kind = Denied
	case resp.StatusCode == http.StatusOK && resp.Header.Get("Content-Type") == advertisement:
		at := *resp.Request.URL
		at.RawQuery = ""
		return strings.TrimSuffix(at.String(), listing), nil
	case resp.StatusCode == http.StatusOK:
		return "", &Error{Failed, "no Git answers at " + tree.Shown(u.String()) + " but something else, with content of the type " + tree.Shown(resp.Header.Get("Content-Type"))}
	}
	return "", &Error{kind, fmt.Sprintf("the forge answers %d %s for %s", resp.StatusCode, http.StatusText(resp.StatusCode), tree.Shown(u.String()))}
}

// outside asks forges: without cookies, proxies and the environment.
var outside = &http.Client{
	Transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: connectMax}).DialContext, TLSHandshakeTimeout: connectMax, ResponseHeaderTimeout: connectMax,
		ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true,
	},
	CheckRedirect: func(to *http.Request, via []*http.Request) error {
		from := via[len(via)-1].URL
		switch {
		case len(via) > redirectsMax:
			return &Error{Failed, fmt.Sprintf("the forge has sent us on more than %d times", redirectsMax)}
		case !strings.HasSuffix(to.URL.Path, listing) || to.URL.RawQuery != service || to.URL.User != nil:
			return &Error{Denied, "the forge sends us to another page, such as one to log in at: " + tree.Shown(without(to.URL))}
		case !sameHost(from, to.URL):
			return &Error{Denied, "the forge sends us to another host, to which nobody goes who was not told to: if the repository has moved, register it at " + tree.Shown(without(to.URL))}
		}
		return nil
	},
}

// without is an address of which nothing but the place is shown.
func without(u *url.URL) string {
	return u.Scheme + "://" + u.Host + strings.TrimSuffix(u.EscapedPath(), listing)
}

// sameHost reports whether an address is at the same host, or at the same by TLS.
func sameHost(from, to *url.URL) bool {
	if from.Scheme == to.Scheme {
		return strings.EqualFold(from.Host, to.Host)
	}
	return from.Scheme == "http" && to.Scheme == "https" && strings.EqualFold(from.Hostname(), to.Hostname()) && from.Port() == "" && to.Port() == ""
}

// unreached is why a forge has not answered.
func unreached(ctx context.Context, err error) *Error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	var asked *url.Error
	for errors.As(err, &asked) {
		err = asked.Err
	}
	var ours *Error
	if errors.As(err, &ours) {
		return ours
	}
	return &Error{Failed, "the forge does not answer: " + tree.Shown(err.Error())}
}
