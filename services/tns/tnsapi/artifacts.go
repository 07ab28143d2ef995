package tnsapi

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// An artifact is kept by hoarders for the job that it is of. Whoever builds it
// pins it for a while, PinFor, with the attempt as Seq; tns pins it for good
// when it is published, and withdraws that when the version is dropped.

// PinFor is how long the pin of a builder holds that never comes to publish.
const PinFor = 24 * time.Hour

// PinSeq is the Seq of tns's pin: above that of all attempts.
const PinSeq = 1 << 40

// ArtifactOwner is for whom hoarders keep the artifact of a job. It has at most 70
// bytes.
func ArtifactOwner(job string) string {
	const textMax = 64
	if len(job) > textMax {
		sum := sha256.Sum256([]byte(job))
		job = hex.EncodeToString(sum[:])
	}
	return "job/" + job
}
