package substrateapi

// StatusRequest asks for a StatusResponse.
type StatusRequest struct{}

// StatusResponse is how a substrate is.
type StatusResponse struct {
	// Refuses says why it takes no requests now, "" if it does: one of the reasons of HeaderRefused.
	Refuses string
	// InFlight are the requests that it serves, of InFlightMax.
	InFlight, InFlightMax int
	// Projects is of how many it serves a version; Unread of how many it could not read the current one yet.
	Projects, Unread int
	// Cached are the bytes of assets on its disk, of CacheMax.
	Cached, CacheMax int64
}

// Fields of the responses of substrates. Clients are told HeaderVersion only.
const (
	// HeaderVersion is the commit of the version that has answered.
	HeaderVersion = "X-Tau-Version"
	// HeaderRefused says that nothing was done about the request, and why: another substrate may be asked, whatever the
	// method.
	HeaderRefused = "X-Tau-Refused"
	// HeaderLoad is how busy the substrate is: "3/256" requests of the most that it serves.
	HeaderLoad = "X-Tau-Load"
	// HeaderCold is set if what has answered had to be brought here first.
	HeaderCold = "X-Tau-Cold"
	// HeaderPrefix begins all of them.
	HeaderPrefix = "X-Tau-"
)

// The reasons of HeaderRefused.
const (
	Starting = "starting" // it does not know yet what is published
	Draining = "draining" // it is about to end
	Busy     = "busy"     // it serves as many requests as it may
)
