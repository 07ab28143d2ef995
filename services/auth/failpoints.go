package auth

import "github.com/taucloud/tau/node/fail"

// The moments at which a fault can be injected.
var beforeReplicate = fail.Register("auth/before-replicate", "a revocation is visible here, not yet durable and not yet elsewhere")
