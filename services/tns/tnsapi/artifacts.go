package tnsapi

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Hoarders keep an artifact for its job. Its builder pins it for PinFor, with the attempt as Seq;
// tns pins it without expiry when it is published, and unpins it when the version is dropped.

// PinFor is how long a builder's pin lasts if it does not publish.
const PinFor = 24 * time.Hour

// PinSeq is the Seq of tns's pin: above that of all attempts.
const PinSeq = 1 << 40

// ArtifactOwner is the owner under which hoarders keep a job's artifact. It has at most 70 bytes.
func ArtifactOwner(job string) string {
	const textMax = 64
	if len(job) > textMax {
		sum := sha256.Sum256([]byte(job))
		job = hex.EncodeToString(sum[:])
	}
	return "job/" + job
}
