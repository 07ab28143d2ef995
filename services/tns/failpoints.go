package tns

import "github.com/taucloud/tau/node/fail"

// The moments at which a fault can be injected.
var (
	beforeApply = fail.Register("tns/before-apply", "a publish has arrived and nothing of it is written")
	afterApply  = fail.Register("tns/after-apply-before-replicate", "a publish is visible here, not yet durable and not yet elsewhere")
	beforeReply = fail.Register("tns/before-reply", "a publish is durable here and, if possible, elsewhere; its sender does not know")
)
