package transport

// FrameLabel says what a frame is, for those who watch a network.
type FrameLabel struct {
	// What is the type: "request", "response", "note", ...; "" of a frame that is
	// malformed or of a later release.
	What string
	// Method is the name of the method or topic, for the types that have it.
	Method string
	// ID is the number of a call or stream: requests and their responses share it, and
	// so do both directions of a stream. 0 if the type has none.
	ID uint64
	// Ends: no more frames of that number come from this end.
	Ends bool
}

var frameNames = [...]string{
	frameRequest: "request", frameResponse: "response", frameFailure: "failure", frameCancel: "cancel", frameNote: "note",
	framePublication: "publication", frameOpen: "open", frameData: "data", frameCredit: "credit", frameEnd: "end", frameReset: "reset",
	frameBegin: "begin", framePart: "part", frameDrop: "drop", frameAsk: "ask", frameAck: "ack", frameDecline: "decline",
	frameHello: "hello", frameRetire: "retire", frameCredentials: "credentials",
}

// LabelOf describes an encoded frame. One that comes in parts is described by its
// first.
func LabelOf(data []byte) FrameLabel {
	f, err := decodeFrame(data)
	if err != nil || f.typ >= frameUnknown {
		return FrameLabel{}
	}
	label := FrameLabel{What: frameNames[f.typ], Method: printable(f.name), ID: f.id}
	switch f.typ {
	case frameBegin:
		if whole, err := decodeFrame(f.message); err == nil && whole.typ < frameBegin {
			return LabelOf(f.message)
		}
		label.ID = 0
	case framePart, frameDrop, frameAsk, frameAck, frameCredit:
		label.ID = 0 // of something else
	case frameFailure, frameReset:
		label.Method, label.Ends = "", true // of what failed in the handler
	case frameResponse, frameCancel, frameDecline:
		label.Ends = true
	}
	return label
}
