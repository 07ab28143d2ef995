package seer

import (
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

// The messages between seers, and between seers and the beacon agents of all nodes.
// What others ask of seers is in seerapi.
var (
	leave  = transport.Note[leaveMessage]{Name: "seer/leave", Rule: transport.Member}
	ask    = transport.Note[askMessage]{Name: "seer/ask", Rule: transport.Offers(seerapi.Service)} // from a seer to an agent
	answer = transport.Note[answerMessage]{Name: "seer/answer", Rule: transport.Member}
	digest = transport.Method[digestRequest, digestResponse]{Name: "seer/digest", Rule: transport.Offers(seerapi.Service)}
	// introduce asks any member who the seers are, and tells it what its caller says of itself; announceAt tells
	// that a seer, follow asks one for members.
	introduce  = transport.Method[introduceRequest, introduceResponse]{Name: "seer/introduce", Rule: transport.Member, Everywhere: true}
	announceAt = transport.Method[announceRequest, announceResponse]{Name: "seer/announce", Rule: transport.Member}
	follow     = transport.Method[followRequest, followResponse]{Name: "seer/follow", Rule: transport.Member}
	records    = transport.Method[recordsRequest, recordsResponse]{Name: "seer/records", Rule: transport.Offers(seerapi.Service)}
)

// beaconNote is the note that carries a beaconMessage. It is the most
// frequent message of a cloud, one a second from every node to several seers,
// and so the only one with an encoding of its own: three numbers of 8 bytes, in
// network order, and then the encoded announcement if there is one.
var beaconNote = transport.RawNote{Name: "seer/beacon", Rule: transport.Member}
