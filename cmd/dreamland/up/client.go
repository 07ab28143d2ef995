package up

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// client asks a universe that runs.
type client struct {
	place place
	says  Running
	token string
}

// errNoUniverse begins what is said of a name that no universe has.
var errNoUniverse = errors.New("there is no universe")

// reach is the client of a universe, which must run.
func reach(p place) (*client, error) {
	r, up := p.running()
	if !up {
		if !exists(p.plan()) {
			return nil, fmt.Errorf("%w %s: dreamland up %[2]s makes it", errNoUniverse, p.name())
		}
		return nil, fmt.Errorf("universe %s does not run: dreamland up %[1]s", p.name())
	}
	token, err := os.ReadFile(p.token())
	return &client{p, r, strings.TrimSpace(string(token))}, err
}

// ask puts a question: post is the body of what is told, nil for what is read.
func (c *client) ask(ctx context.Context, path string, query url.Values, post, into any) error {
	resp, err := c.send(ctx, path, query, post)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

func (c *client) send(ctx context.Context, path string, query url.Values, post any) (*http.Response, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if post != nil {
		raw, err := json.Marshal(post)
		if err != nil {
			return nil, err
		}
		method, body = http.MethodPost, bytes.NewReader(raw)
	}
	address := c.says.Admin + "/v1/" + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("universe %s does not answer: %w", c.place.name(), err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var p Problem
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&p); err != nil || p.Error == "" {
		return nil, fmt.Errorf("universe %s answers %s", c.place.name(), resp.Status)
	}
	if resp.StatusCode == http.StatusBadRequest {
		return nil, badRequest(errors.New(p.Error))
	}
	return nil, errors.New(p.Error)
}

// each reads an answer line by line.
func (c *client) each(ctx context.Context, path string, query url.Values, f func(line []byte) error) error {
	resp, err := c.send(ctx, path, query, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if err := f(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// within is a context for one question.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, answerWithin+5*time.Second)
}
