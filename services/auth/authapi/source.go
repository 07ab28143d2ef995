package authapi

import (
	"context"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/transport/ask"
)

// What the holder of a job needs to build it.

// PartsMax bounds the repositories of a project that versions are made of, besides the one that was pushed to.
const PartsMax = 32

// SourceRequest asks for what the holder of a job needs to fetch and build its commit.
type SourceRequest struct {
	Job   string        `cbor:"1,keyasint"`
	Token fencing.Token `cbor:"2,keyasint"`
}

// SourceResponse is that. Keys are private deploy keys, newest first; Secrets are the project's, by name.
type SourceResponse struct {
	Repository Repository        `cbor:"1,keyasint"`
	Keys       [][]byte          `cbor:"2,keyasint,omitempty"`
	Secrets    map[string]string `cbor:"3,keyasint,omitempty"`
	// Parts are the project's other repositories, by name, if a version is made of several.
	Parts []Part `cbor:"4,keyasint,omitempty"`
}

// FunctionSecretsResponse are the secrets of a project's functions, by name.
type FunctionSecretsResponse struct {
	Secrets map[string]string `cbor:"1,keyasint,omitempty"`
}

// FunctionSecrets are the secrets of a project's functions, by name. Only substrates get them.
func (c *Client) FunctionSecrets(ctx context.Context, project string) (map[string]string, error) {
	resp, err := ask.Call(ctx, c.asker, FunctionSecrets, "", callTimeout, Named{project})
	return resp.Secrets, err
}

// Part is a repository that goes into the versions of another one, and what opens it: private deploy keys, newest first.
type Part struct {
	Repository Repository `cbor:"1,keyasint"`
	Keys       [][]byte   `cbor:"2,keyasint,omitempty"`
}

// Source is what the holder of a job needs to fetch and build its commit. Conflict: the caller does not hold it, as patricks say.
func (c *Client) Source(ctx context.Context, job string, token fencing.Token) (SourceResponse, error) {
	return ask.Call(ctx, c.asker, Source, "", 2*callTimeout, SourceRequest{Job: job, Token: token})
}
