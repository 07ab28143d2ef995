package auth

import (
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/transport"
)

// vaultKeys is by what auths give each other the vault keys. What others ask of auths is in authapi.
var vaultKeys = transport.Method[vaultKeysRequest, vaultKeysResponse]{Name: "auth/vault-keys", Rule: transport.Offers(authapi.Service)}

// vaultKeysRequest asks another auth for its vault keys, and gives it those of the caller, the one that is to seal first.
type vaultKeysRequest struct {
	Keys [][]byte `cbor:"1,keyasint,omitempty"`
}

// vaultKeysResponse are all that it has now.
type vaultKeysResponse struct {
	Keys [][]byte `cbor:"1,keyasint,omitempty"`
}
