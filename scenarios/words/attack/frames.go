package attack

import "encoding/binary"

// The frames of the protocol as somebody writes them who has read its description
// (transport/frame.go) and means harm: nothing of the engine's encoders is used.
const (
	typeRequest     = 1
	typePublication = 6
	typeOpen        = 7
	typeBegin       = 12
	typeHello       = 18
)

func appendNamed(b []byte, name string, message []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(name)))
	return append(append(b, name...), message...)
}

// helloFrame begins a conn. message is an encoded transport.Hello, or what is to be taken for one.
func helloFrame(message []byte) []byte { return append([]byte{typeHello}, message...) }

// requestFrame is a call with so many milliseconds left.
func requestFrame(id uint64, left uint32, method string, message []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{typeRequest}, left)
	return appendNamed(binary.AppendUvarint(b, id), method, message)
}

// publicationFrame is a message on a topic.
func publicationFrame(topic string, message []byte) []byte {
	return appendNamed([]byte{typePublication}, topic, message)
}

// openFrame opens a stream.
func openFrame(id uint64, method string, message []byte) []byte {
	return appendNamed(binary.AppendUvarint([]byte{typeOpen}, id), method, message)
}

// beginFrame begins a frame in parts of so many bytes.
func beginFrame(number, length uint64, part []byte) []byte {
	b := binary.AppendUvarint([]byte{typeBegin}, number)
	return append(binary.AppendUvarint(b, length), part...)
}
