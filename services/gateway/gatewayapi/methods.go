// Package gatewayapi is what members may ask a gateway: a request over the wire, as a browser asks it at its door, and how
// it sees the substrates.
package gatewayapi

import "github.com/taucloud/tau/transport"

// Service is gateway's name in the directory.
const Service = "gateway"

// Status asks one gateway what it sees.
var Status = transport.Method[StatusRequest, StatusResponse]{Name: "gateway/status", Rule: transport.Member}

// HTTP is the name of the streams that carry a request and its response, see package httpstream.
var HTTP = transport.StreamName{Name: "gateway/http", Rule: transport.Member}
