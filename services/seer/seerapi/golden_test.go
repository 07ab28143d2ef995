package seerapi_test

import (
	"testing"

	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what is sent, or stored as it is.
func TestGolden(t *testing.T) {
	goldentest.Check(t,
		seerapi.Announcement{},
		seerapi.AnswerMessage{},
		seerapi.AskMessage{},
		seerapi.ChangesRequest{},
		seerapi.ChangesResponse{},
		seerapi.DigestRequest{},
		seerapi.DigestResponse{},
		seerapi.LeaveMessage{},
		seerapi.LookupRequest{},
		seerapi.LookupResponse{},
		seerapi.RecordsRequest{},
		seerapi.RecordsResponse{},
	)
}
