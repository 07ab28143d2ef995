package patrickapi_test

import (
	"testing"

	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what is sent, or stored as it is.
func TestGolden(t *testing.T) {
	goldentest.Check(t,
		patrickapi.Announcement{},
		patrickapi.CancelRequest{},
		patrickapi.CancelResponse{},
		patrickapi.ClaimRequest{},
		patrickapi.EventRequest{},
		patrickapi.EventResponse{},
		patrickapi.FinishRequest{},
		patrickapi.FinishResponse{},
		patrickapi.Grant{},
		patrickapi.HeldRequest{}, patrickapi.HeldResponse{}, patrickapi.Origin{}, patrickapi.GrantedRequest{},
		patrickapi.GrantedResponse{},
		patrickapi.Job{},
		patrickapi.JobRequest{},
		patrickapi.RebuildRequest{},
		patrickapi.ListRequest{},
		patrickapi.ListResponse{},
		patrickapi.LogNote{},
		patrickapi.LogsResponse{},
		patrickapi.OpenRequest{},
		patrickapi.PushRequest{},
		patrickapi.PushResponse{},
		patrickapi.RebuildResponse{},
		patrickapi.RenewRequest{},
		patrickapi.RenewResponse{},
		patrickapi.Tree{},
	)
}
