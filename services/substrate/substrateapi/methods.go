// Package substrateapi is how gateways speak with substrates: HTTP over streams, with some header fields of their own, and
// a question how busy one is.
package substrateapi

import "github.com/taucloud/tau/transport"

// Service is substrate's name in the directory.
const Service = "substrate"

// Status asks one substrate how it is.
var Status = transport.Method[StatusRequest, StatusResponse]{Name: "substrate/status", Rule: transport.Offers("gateway")}

// Logs asks one substrate what a function has said there. Logs may hold what people have sent to it, so that not every member reads
// them: those that serve functions anyway do, and those at whose nodes people who run the cloud ask.
var Logs = transport.Method[LogsRequest, LogsResponse]{Name: "substrate/logs", Rule: transport.Offers(Service, "patrick", "auth")}

// FunctionUsage asks one substrate what functions have used there. Who may read a function's log may read that.
var FunctionUsage = transport.Method[UsageRequest, UsageResponse]{Name: "substrate/usage", Rule: transport.Offers(Service, "patrick", "auth")}

// HTTP is the name of the streams that carry a request and its response, see package httpstream.
var HTTP = transport.StreamName{Name: "substrate/http", Rule: transport.Offers("gateway")}
