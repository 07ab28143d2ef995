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

// LogsRequest asks for what a function has said.
type LogsRequest struct {
	// Branch is the one in production if it is "".
	Project, Branch string
	// Function is the path of its entry, such as functions/hello.
	Function string
	// After is the number of the last line that is known, of the run Run of the substrate's node.
	Run, After uint64
}

// LogsResponse is that, from the line after on, at most LogLinesMax lines and LogSizeMax bytes.
type LogsResponse struct {
	Run uint64
	// Lost are lines after the last that was known which are not kept any more.
	Lost  uint64
	Lines []LogLine
}

// Bounds of a LogsResponse.
const (
	LogLinesMax = 256
	LogSizeMax  = 256 << 10
)

// LogLine is a line of what a function has said, or of why it was stopped.
type LogLine struct {
	// Seq numbers the lines of a function on one node.
	Seq uint64
	// At is when its request was answered, in nanoseconds of Unix time.
	At int64
	// Request is the id of the request, Commit the version that has answered it.
	Request, Commit string
	Text            string
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
	// HeaderKnock, in a request, asks only whether anybody serves its host: nothing else is done about it. The response has it with one of
	// KnockSomebody and KnockNobody.
	HeaderKnock = "X-Tau-Knock"
	// HeaderPrefix begins all of them.
	HeaderPrefix = "X-Tau-"
)

// The answers to HeaderKnock.
const (
	KnockSomebody = "somebody"
	KnockNobody   = "nobody"
)

// The reasons of HeaderRefused.
const (
	Starting = "starting" // it does not know yet what is published
	Draining = "draining" // it is about to end
	Busy     = "busy"     // it serves as many requests as it may
)
