package localkv_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/taucloud/tau/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLocalLive(t *testing.T) { storagetest.RunLocal(t, storagetest.Live) }
