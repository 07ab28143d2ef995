// Package seerapi is how others speak with seer: who is alive, and what do they
// offer.
package seerapi

import "github.com/taucloud/tau/transport"

// Service is seer's name in the directory.
const Service = "seer"

// What a seer, and the beacon agent of every node, understand beside Beacon.
var (
	Leave   = transport.Note[LeaveMessage]{Name: "seer/leave"}
	Ask     = transport.Note[AskMessage]{Name: "seer/ask"} // from a seer to an agent
	Answer  = transport.Note[AnswerMessage]{Name: "seer/answer"}
	Lookup  = transport.Method[LookupRequest, LookupResponse]{Name: "seer/lookup"}
	Changes = transport.Method[ChangesRequest, ChangesResponse]{Name: "seer/changes"}
	Digest  = transport.Method[DigestRequest, DigestResponse]{Name: "seer/digest"}
	Records = transport.Method[RecordsRequest, RecordsResponse]{Name: "seer/records"}
)
