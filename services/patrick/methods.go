package patrick

import (
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// The methods by which patricks speak with each other. What others ask of patricks
// is in patrickapi.
var (
	keep = transport.Method[keepRequest, keepResponse]{Name: "patrick/keep", Rule: transport.Offers(patrickapi.Service)}
	// moved is by what the coordinator of a repository tells that of a branch that it has moved at the forge.
	moved = transport.Method[moveRequest, patrickapi.PushResponse]{Name: "patrick/moved", Rule: transport.Offers(patrickapi.Service)}
	ping  = transport.Method[pingRequest, pingResponse]{Name: "patrick/ping", Rule: transport.Offers(patrickapi.Service)}
)

// keepRequest asks another patrick to fetch a tree or a log from the caller and to make it durable.
// Size is in bytes.
type keepRequest struct {
	Root string
	Size int64
}

// keepResponse says that it is durable.
type keepResponse struct{}

// pingRequest asks whether a patrick can be reached.
type pingRequest struct{}

// pingResponse answers it.
type pingResponse struct{}
