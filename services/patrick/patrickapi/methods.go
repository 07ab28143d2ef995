// Package patrickapi is how others speak to patricks: [Client], which finds the
// right patrick, and the wire types. Users push, cancel, rebuild and read with it,
// monkeys claim, renew and finish. What patricks ask each other is private to
// package patrick.
package patrickapi

import "github.com/taucloud/tau/transport"

// Service is patrick's name in the directory.
const Service = "patrick"

// The methods that patrick serves.
var (
	Push     = transport.Method[PushRequest, PushResponse]{Name: "patrick/push"}
	NewEvent = transport.Method[EventRequest, EventResponse]{Name: "patrick/event"}
	Rebuild  = transport.Method[RebuildRequest, RebuildResponse]{Name: "patrick/rebuild"}
	Claim    = transport.Method[ClaimRequest, Grant]{Name: "patrick/claim"}
	Renew    = transport.Method[RenewRequest, RenewResponse]{Name: "patrick/renew"}
	Finish   = transport.Method[FinishRequest, FinishResponse]{Name: "patrick/finish"}
	OpenJobs = transport.Method[OpenRequest, Announcement]{Name: "patrick/open"}
	GetJob   = transport.Method[JobRequest, Job]{Name: "patrick/status"}
	List     = transport.Method[ListRequest, ListResponse]{Name: "patrick/list"}
	Cancel   = transport.Method[CancelRequest, CancelResponse]{Name: "patrick/cancel"}
	Logs     = transport.Method[JobRequest, LogsResponse]{Name: "patrick/logs"}
	Log      = transport.Note[LogNote]{Name: "patrick/log"}
)
