// Package protobound bounds what a protobuf message of others becomes in memory.
package protobound

import (
	"fmt"

	"github.com/taucloud/tau/storage"
	"google.golang.org/protobuf/encoding/protowire"
)

// protoFieldsFree and protoFieldLenMin bound the fields of a protobuf message of others:
// protoFieldsFree, and one more per protoFieldLenMin bytes. An empty field is two bytes on the wire
// and a hundred in memory when it is a record; honest ones name a block or a key.
const (
	protoFieldsFree  = 64
	protoFieldLenMin = 8
)

// Check refuses a protobuf message that would become many times as large
// when it is decoded, before it is.
func Check(raw []byte) error {
	most := protoFieldsFree + len(raw)/protoFieldLenMin
	for rest := raw; len(rest) > 0; most-- {
		_, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			return fmt.Errorf("storage: no protobuf message: %w", protowire.ParseError(n))
		}
		if most == 0 {
			return fmt.Errorf("%w: a message of %d bytes with too many fields", storage.ErrTooLarge, len(raw))
		}
		rest = rest[n:]
	}
	return nil
}
