// Package substrateapi is how gateways speak with substrates: HTTP over streams, with some header fields of their own, and
// a question how busy one is.
package substrateapi

import "github.com/taucloud/tau/transport"

// Service is substrate's name in the directory.
const Service = "substrate"

// Status asks one substrate how it is.
var Status = transport.Method[StatusRequest, StatusResponse]{Name: "substrate/status", Rule: transport.Offers("gateway")}

// HTTP is the name of the streams that carry a request and its response, see package httpstream.
var HTTP = transport.StreamName{Name: "substrate/http", Rule: transport.Offers("gateway")}
