package replicated_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/taucloud/tau/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReplicatedLive(t *testing.T) { storagetest.RunReplicated(t, storagetest.Live) }
