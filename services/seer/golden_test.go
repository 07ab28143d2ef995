package seer

import (
	"testing"

	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what seers and beacon agents send each other.
func TestGolden(t *testing.T) {
	goldentest.Check(t,
		announceRequest{},
		announceResponse{},
		announcement{},
		answerMessage{},
		askMessage{},
		digestRequest{},
		digestResponse{},
		followRequest{},
		followResponse{},
		introduceRequest{},
		introduceResponse{},
		leaveMessage{},
		recordsRequest{},
		recordsResponse{},
		savedMember{},
	)
}
