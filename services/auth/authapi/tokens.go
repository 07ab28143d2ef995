package authapi

import (
	"context"

	"github.com/taucloud/tau/services/auth/token"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/ask"
)

const (
	// TokensMax bounds the API tokens that an auth takes, those of all auths that it knows of counted.
	TokensMax = 4096
	// TokenPageMax bounds the tokens of one answer.
	TokenPageMax = 64
	// TokenProjectLenMax and TokenTextLenMax bound what a check is asked for, in bytes.
	TokenProjectLenMax, TokenTextLenMax = 256, 256
)

// TokenCreateRequest stores what proves an API token. Who asks has made the token, and keeps it (token.New).
type TokenCreateRequest struct {
	Record token.Record `cbor:"1,keyasint"`
}

// TokenCreateResponse says on how many auths that is durable.
type TokenCreateResponse struct {
	Copies int `cbor:"1,keyasint"`
}

// TokenListRequest asks for the tokens whose IDs follow After.
type TokenListRequest struct {
	After string `cbor:"1,keyasint,omitempty"`
}

// TokenListResponse has a page of them, by ID. More: there are others.
type TokenListResponse struct {
	List []TokenState `cbor:"1,keyasint,omitempty"`
	More bool         `cbor:"2,keyasint,omitempty"`
}

// Scope is a kind of thing that a token allows, see package token.
type Scope = token.Scope

// TokenState is what people may know of a token: not what proves it.
type TokenState struct {
	ID       string        `cbor:"1,keyasint"`
	Projects []string      `cbor:"2,keyasint"`
	Scopes   []token.Scope `cbor:"3,keyasint"`
	NotAfter int64         `cbor:"4,keyasint"` // seconds since 1970
	Revoked  bool          `cbor:"5,keyasint,omitempty"`
}

// TokenRevokeRequest takes a token back, for ever.
type TokenRevokeRequest struct {
	ID string `cbor:"1,keyasint"`
}

// TokenRevokeResponse says on how many auths that is durable.
type TokenRevokeResponse struct {
	Copies int `cbor:"1,keyasint"`
}

// TokenCheckRequest asks whether a token allows something in a project now.
type TokenCheckRequest struct {
	Text    string      `cbor:"1,keyasint"`
	Project string      `cbor:"2,keyasint"`
	Scope   token.Scope `cbor:"3,keyasint"`
}

// TokenCheckResponse says that it does, and which it is: for the record of who has done something.
type TokenCheckResponse struct {
	ID string `cbor:"1,keyasint"`
}

// CreateToken stores what proves a token. Conflict: there is another one of this ID, or no room. After Timeout or Unreachable it may
// have been done; it may be asked for again.
func (c *Client) CreateToken(ctx context.Context, r token.Record) (copies int, err error) {
	resp, err := ask.Call(ctx, c.asker, TokenCreate, "", callTimeout, TokenCreateRequest{Record: r})
	return resp.Copies, err
}

// Tokens lists what one auth knows of tokens, by ID.
func (c *Client) Tokens(ctx context.Context) ([]TokenState, error) {
	return pages(2*TokensMax, func(t TokenState) string { return t.ID }, func(after string) ([]TokenState, bool, error) {
		resp, err := ask.Call(ctx, c.asker, TokenList, "", callTimeout, TokenListRequest{After: after})
		return resp.List, resp.More, err
	})
}

// RevokeToken takes a token back. NotFound: no auth that was reached knows of it. After Timeout or Unreachable it may have been done.
func (c *Client) RevokeToken(ctx context.Context, id string) (copies int, err error) {
	resp, err := ask.Call(ctx, c.asker, TokenRevoke, "", callTimeout, TokenRevokeRequest{ID: id})
	return resp.Copies, err
}

// CheckToken proves a token, and that it allows something in a project now. Conflict: it does not, which an auth has said that
// knows of it; NotFound: none that was reached does. People are told the same of both.
func (c *Client) CheckToken(ctx context.Context, text, project string, scope token.Scope) (id string, err error) {
	if _, ok := token.ID(text); !ok || len(project) > TokenProjectLenMax {
		return "", transport.New(transport.Conflict, TokenCheck.Name, token.ErrRefused.Error())
	}
	resp, err := ask.Call(ctx, c.asker, TokenCheck, "", callTimeout, TokenCheckRequest{Text: text, Project: project, Scope: scope})
	return resp.ID, err
}
