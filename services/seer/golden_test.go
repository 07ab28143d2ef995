package seer

import (
	"testing"

	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what seers and beacon agents send each other.
func TestGolden(t *testing.T) {
	goldentest.Check(t,
		announcement{},
		answerMessage{},
		askMessage{},
		digestRequest{},
		digestResponse{},
		leaveMessage{},
		recordsRequest{},
		recordsResponse{},
	)
}
