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
	Push     = transport.Method[PushRequest, PushResponse]{Name: "patrick/push", Rule: transport.Member}
	NewEvent = transport.Method[EventRequest, EventResponse]{Name: "patrick/event", Rule: transport.Member}
	Rebuild  = transport.Method[RebuildRequest, RebuildResponse]{Name: "patrick/rebuild", Rule: transport.Member}
	Claim    = transport.Method[ClaimRequest, Grant]{Name: "patrick/claim", Rule: transport.Offers("monkey", Service)}
	Renew    = transport.Method[RenewRequest, RenewResponse]{Name: "patrick/renew", Rule: transport.Offers("monkey", Service)}
	Finish   = transport.Method[FinishRequest, FinishResponse]{Name: "patrick/finish", Rule: transport.Offers("monkey", Service)}
	// Granted is for tns, before it takes what a monkey says of a job.
	Granted = transport.Method[GrantedRequest, GrantedResponse]{Name: "patrick/granted", Rule: transport.Offers("tns")}
	// Held is for auth, before it gives a monkey the secrets of a job.
	Held     = transport.Method[HeldRequest, HeldResponse]{Name: "patrick/held", Rule: transport.Offers("auth", Service)}
	OpenJobs = transport.Method[OpenRequest, Announcement]{Name: "patrick/open", Rule: transport.Offers("monkey")}
	GetJob   = transport.Method[JobRequest, Job]{Name: "patrick/status", Rule: transport.Member}
	List     = transport.Method[ListRequest, ListResponse]{Name: "patrick/list", Rule: transport.Member}
	Cancel   = transport.Method[CancelRequest, CancelResponse]{Name: "patrick/cancel", Rule: transport.Member}
	Logs     = transport.Method[JobRequest, LogsResponse]{Name: "patrick/logs", Rule: transport.Member}
	Log      = transport.Note[LogNote]{Name: "patrick/log", Rule: transport.Offers("monkey")}
)

// HTTP is the name under which the front door is served to members, by streams (package httpstream).
const HTTP = "patrick/http"
