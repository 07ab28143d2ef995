package blocks_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/taucloud/tau/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBlocksLive(t *testing.T) { storagetest.RunBlocks(t, storagetest.Live) }
