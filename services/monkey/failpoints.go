package monkey

import "github.com/taucloud/tau/node/fail"

// The moments at which a fault can be injected.
var (
	afterLock     = fail.Register("monkey/after-lock", "holds the lock of a job, has not begun to build")
	afterBuild    = fail.Register("monkey/after-build", "has built, the artifact is on no other node")
	beforePublish = fail.Register("monkey/before-publish", "has checked its lease, is about to publish")
	afterPublish  = fail.Register("monkey/after-publish", "has published, patrick has not been told")
)
