package storage_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/taucloud/tau/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReplicatedLive(t *testing.T) { storagetest.RunReplicated(t, storagetest.Live) }

func TestLocalLive(t *testing.T) { storagetest.RunLocal(t, storagetest.Live) }

func TestBlocksLive(t *testing.T) { storagetest.RunBlocks(t, storagetest.Live) }
