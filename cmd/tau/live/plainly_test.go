package live

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

// TestPeopleReadNoInnerNames: who asks wants to know what is wrong, not which method says so; of one that is not reached, that is what is wrong.
func TestPeopleReadNoInnerNames(t *testing.T) {
	for want, err := range map[string]error{
		"nothing is published on p/main":            transport.New(transport.NotFound, "tns/history", "nothing is published on p/main"),
		"given up: it is there with another URL":    fmt.Errorf("given up: %w", transport.New(transport.Conflict, "auth/repository-put", "it is there with another URL")),
		"auth/repository-put: unreachable: no conn": transport.New(transport.Unreachable, "auth/repository-put", "no conn"),
		"tns/get: not found":                        transport.New(transport.NotFound, "tns/get", ""),
		"plain":                                     errors.New("plain"),
	} {
		require.Equal(t, want, Plainly(err))
	}
}
