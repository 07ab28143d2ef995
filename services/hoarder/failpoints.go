package hoarder

import "github.com/taucloud/tau/node/fail"

var (
	afterFetchBeforeSync = fail.Register("hoarder/after-fetch-before-sync",
		"the content is here and verified, but neither synced nor recorded")
	beforeClaim = fail.Register("hoarder/before-claim",
		"the content is here, synced and recorded on this disk, but nobody else knows")
	beforeRelease = fail.Register("hoarder/before-release",
		"enough other holders have confirmed and promised; the copy is still here")
	beforeMarkAck = fail.Register("hoarder/before-mark-ack",
		"content, claim and pin are durable, the caller has not been told")
)
