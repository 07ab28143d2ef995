package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// Client asks a node that runs on this machine, over its socket ([shape.Paths]).
type Client struct {
	// Socket is the path.
	Socket string
	// HTTP may be nil.
	HTTP *http.Client
}

// NewClient returns a client that makes a connection for each question: a node that has just started anew
// is another one.
func NewClient(socket string) *Client {
	return &Client{Socket: socket, HTTP: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			path, release, err := shortPath(socket)
			if err != nil {
				return nil, err
			}
			defer release()
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}}
}

var (
	// ErrNotRunning says that no node listens on the socket.
	ErrNotRunning = errors.New("no node runs there")
	// ErrNotAllowed says that the socket is another user's.
	ErrNotAllowed = errors.New("the node is another user's")
)

// Ask puts a question: a nil post asks for reading, with get as what is asked, if it is not nil; anything else
// is posted. What the node does not do is a [*Failure].
func (c *Client) Ask(ctx context.Context, path string, post, get, into any) error {
	req, err := request(ctx, path, post, get)
	if err != nil {
		return err
	}
	resp, err := c.HTTP.Do(req)
	switch {
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%w: %s", ErrNotAllowed, c.Socket)
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: %s does not answer", ErrNotRunning, c.Socket)
	case err != nil:
		return fmt.Errorf("ask the node at %s: %w", c.Socket, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return json.NewDecoder(resp.Body).Decode(into)
	}
	var f Failure
	if err := json.NewDecoder(resp.Body).Decode(&f); err != nil {
		return fmt.Errorf("the node answers %s: is it of another release?", resp.Status)
	}
	return &f
}

func request(ctx context.Context, path string, post, get any) (*http.Request, error) {
	address := "http://node/v1/" + path
	if post == nil {
		if get != nil {
			q, err := json.Marshal(get)
			if err != nil {
				return nil, err
			}
			address += "?q=" + url.QueryEscape(string(q))
		}
		return http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	}
	body, err := json.Marshal(post)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}

// Page reads one of the pages for monitoring, such as /metrics, up to lenMax bytes of it.
func (c *Client) Page(ctx context.Context, path string, lenMax int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, lenMax))
}
