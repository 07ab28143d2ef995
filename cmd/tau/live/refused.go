package live

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/taucloud/tau/cmd/tau/shape"
)

// Refused is what came of the last try to join by an invitation that those who honour it have refused for good: it is used up,
// withdrawn or over. They alone know; so the node notes what it was told, for whoever asks why it does not start.
type Refused struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
	// Invitation is the hash of the one that it was: another may be set since.
	Invitation string `json:"invitation"`
}

func refusedPath(paths shape.Paths) string {
	return strings.TrimSuffix(paths.Socket, filepath.Ext(paths.Socket)) + ".refused"
}

func hashOf(invitation string) string {
	sum := sha256.Sum256([]byte(invitation))
	return hex.EncodeToString(sum[:])
}

// noteRefused writes it. That it cannot be is no second error: the first one is told.
func noteRefused(paths shape.Paths, invitation string, why error) {
	raw, err := json.Marshal(Refused{At: time.Now().UTC(), Text: why.Error(), Invitation: hashOf(invitation)})
	if err == nil {
		_ = WriteFile(refusedPath(paths), raw)
	}
}

// LastRefused is what was noted of an invitation, nil if nothing was.
func LastRefused(paths shape.Paths, invitation string) *Refused {
	raw, err := os.ReadFile(refusedPath(paths))
	var r Refused
	if err != nil || json.Unmarshal(raw, &r) != nil || r.Invitation != hashOf(invitation) {
		return nil
	}
	return &r
}
