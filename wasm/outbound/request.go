package outbound

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Request is what a guest wants to send.
type Request struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte
}

// Response is what came back, whole.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// loopName is what this cloud is called in the field CDN-Loop (RFC 8586), by which a request that goes round is known.
const loopName = "tau"

// tries is at how many addresses of a name a request is tried, as long as none could be connected to.
const tries = 3

// kept are fields that the sender of a request sets himself, or that are about the connection: a guest's are left out.
var kept = []string{"Host", "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding",
	"Upgrade", "Content-Length", "Expect", "Cdn-Loop", "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"}

// personal are fields that go to no other host than the one that they were meant for.
var personal = []string{"Authorization", "Cookie", "Cookie2", "Www-Authenticate"}

// Do sends a request and follows its redirects. Each of them may go where the first one might have gone, and nowhere else.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	if c.Outside == nil {
		return nil, refuse("this node lets no function out")
	}
	if n := rounds(c.Loop); n > c.Limits.LoopMax {
		return nil, refuse("the request goes round: it has left a cloud %d times", n)
	}
	header, err := c.fields(r.Header)
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(r.URL)
	if err != nil {
		return nil, refuse("that is no URL")
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	for hop := 0; ; hop++ {
		response, err := c.once(ctx, r.Method, to, header, r.Body)
		if err != nil {
			return nil, err
		}
		next := response.Header.Get("Location")
		if next == "" || !redirects(response.Status) {
			return response, nil
		}
		if hop >= c.Limits.Redirects {
			return nil, refuse("%s redirects, and again: more than %d times", to.Hostname(), c.Limits.Redirects)
		}
		from := to
		if to, err = from.Parse(next); err != nil {
			return nil, refuse("%s redirects to what is no URL", from.Hostname())
		}
		r.Method, r.Body = after(response.Status, r.Method, r.Body)
		if r.Body == nil {
			header.Del("Content-Type")
		}
		if to.Host != from.Host || to.Scheme != from.Scheme {
			for _, name := range personal {
				header.Del(name)
			}
		}
	}
}

// rounds is how often a request has left a cloud, by its field CDN-Loop.
func rounds(loop string) (n int) {
	for name := range strings.SplitSeq(loop, ",") {
		if strings.TrimSpace(name) == loopName {
			n++
		}
	}
	return n
}

// fields are what is sent of those of a guest.
func (c *Client) fields(given http.Header) (http.Header, error) {
	header := given.Clone()
	for name, values := range header {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, refuse("%.64q is not the name of a field", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return nil, refuse("the value of %.64q is not one of a field", name)
			}
		}
	}
	if header == nil {
		header = http.Header{}
	}
	for _, name := range kept {
		header.Del(name)
	}
	if _, says := header["User-Agent"]; !says {
		header.Set("User-Agent", "tau-function")
	}
	header.Set("Cdn-Loop", strings.TrimPrefix(c.Loop+", "+loopName, ", "))
	return header, nil
}

// target is where a URL leads, if that is allowed.
func (c *Client) target(u *url.URL) (host string, port uint16, err error) {
	if u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || u.User != nil {
		return "", 0, refuse("only http and https are sent, without a user in the URL")
	}
	if host, err = Host(u.Hostname()); err != nil {
		return "", 0, err
	}
	port = 80
	if u.Scheme == "https" {
		port = 443
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return "", 0, refuse("the port is 1 to 65535")
		}
		port = uint16(n)
	}
	if !c.Allow.Allows(host, port) {
		return "", 0, refuse("%s at port %d is not in the function's list of outbound hosts", host, port)
	}
	return host, port, nil
}

// once sends a request to where its URL leads.
func (c *Client) once(ctx context.Context, method string, u *url.URL, header http.Header, body []byte) (*Response, error) {
	host, port, err := c.target(u)
	if err != nil {
		return nil, err
	}
	if err := c.spend(); err != nil {
		return nil, err
	}
	addresses, err := c.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	var response *http.Response
	for _, a := range addresses[:min(len(addresses), tries)] {
		q, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
		if err != nil {
			return nil, refuse("%.20q is not a method", method)
		}
		q.Header, q.Close = header.Clone(), true
		if response, err = c.Outside.Send(netip.AddrPortFrom(a, port), q, c.Limits.HeadMax); err == nil {
			return c.read(host, response)
		}
		if ctx.Err() != nil || !IsUnreachable(err) {
			return nil, fmt.Errorf("outbound: %s: %w", host, plain(err))
		}
	}
	return nil, fmt.Errorf("outbound: %s: nobody can be connected to at its addresses", host)
}

// read reads a response as a whole.
func (c *Client) read(host string, r *http.Response) (*Response, error) {
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, c.Limits.BodyMax+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("outbound: %s: the response broke off: %w", host, plain(err))
	case int64(len(body)) > c.Limits.BodyMax:
		return nil, refuse("the response of %s is longer than %d bytes", host, c.Limits.BodyMax)
	}
	return &Response{Status: r.StatusCode, Header: r.Header, Body: body}, nil
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// after is what is sent after a redirect: the same for 307 and 308, else a GET without a body, but for HEAD.
func after(status int, method string, body []byte) (string, []byte) {
	if status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect {
		return method, body
	}
	if method != http.MethodHead {
		method = http.MethodGet
	}
	return method, nil
}
