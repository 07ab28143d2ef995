package words

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/words/replicas"
)

// TestServicesWithReplicasAreListed: a service that has a replicated store and is not
// in the list would never be compared.
func TestServicesWithReplicasAreListed(t *testing.T) {
	known := 0
	for _, spec := range Vocabulary().Services {
		service, err := spec.New(node.Env{}, spec.Settings())
		require.NoError(t, err, "constructors have no side effects")
		_, has := service.(replicas.Owner)
		require.Equal(t, has, slices.Contains(replicas.Services, spec.Name), "replicas.Services: %s has a replica: %t", spec.Name, has)
		if has {
			known++
		}
	}
	require.Len(t, replicas.Services, known, "replicas.Services names services that there are, each once")
}
