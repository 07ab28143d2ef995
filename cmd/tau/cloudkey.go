package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/mr-tron/base58"

	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// The lines of the file of a cloud's key: the key, which is a secret, and, of one that took another's place, the statements
// that led to it, in order, which are none.
const (
	cloudKeyPrefix = "tau-cloud-key-"
	rotationPrefix = "tau-rotation-"
)

// cloudKey is a key of a cloud.
type cloudKey struct {
	transport.Identity
	rotations []membership.Signed
}

// cloudKeyText is a file of a cloud's key.
func cloudKeyText(secret string, rotations []membership.Signed) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, cloudKeyPrefix+secret)
	for _, r := range rotations {
		fmt.Fprintln(&b, rotationPrefix+base58.Encode(transport.Encode(r)))
	}
	return b.Bytes()
}

func readCloudKey(path string) (k cloudKey, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return k, fmt.Errorf("--cloud-key: %w", err)
	}
	first, rest, _ := strings.Cut(strings.TrimSpace(string(raw)), "\n")
	text, found := strings.CutPrefix(strings.TrimSpace(first), cloudKeyPrefix)
	secret, err := base64.StdEncoding.DecodeString(text)
	if !found || err != nil || len(secret) != shape.KeyLen {
		return k, fmt.Errorf("--cloud-key: %s is no key of a cloud: tau config generate has written it when the cloud began", path)
	}
	for line := range strings.FieldsSeq(rest) {
		var r membership.Signed
		body, found := strings.CutPrefix(line, rotationPrefix)
		decoded, err := base58.Decode(body)
		if !found || err != nil || transport.Decode(decoded, &r) != nil || len(k.rotations) >= membership.RotationsMax {
			return k, fmt.Errorf("--cloud-key: %s is damaged after its first line: bring it back from a backup", path)
		}
		k.rotations = append(k.rotations, r)
	}
	k.Identity = transport.NewIdentity(secret)
	return k, nil
}

// belongs says why a key is not that of the cloud of a configuration, which may name one that it has taken the place of.
func (k cloudKey) belongs(path string, s *shape.Shape) error {
	known, err := transport.ParsePeer(s.CloudKey)
	if err != nil {
		return fmt.Errorf("cloud-key of the configuration: %w", err)
	}
	trust := membership.NewTrust(s.Network, known)
	for _, r := range k.rotations {
		if err := trust.Apply(r); err != nil && !errors.Is(err, membership.ErrNotTrusted) { // the configuration may name a later one
			return fmt.Errorf("--cloud-key: %s: %w", path, err)
		}
	}
	if trust.Key() != k.Peer() {
		return fmt.Errorf("--cloud-key: %s is not the key of %s", path, s.Network)
	}
	return nil
}
