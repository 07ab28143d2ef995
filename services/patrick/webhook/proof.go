package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"mime"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// unproven says the same whatever is wrong: who guesses learns nothing.
func unproven() error {
	return &Error{Unproven, "the delivery is not signed with the secret of this hook"}
}

// hmacIn is a proof by HMAC-SHA-256 of the body, in hexadecimal digits behind a prefix, in the first of
// the headers that is there.
func hmacIn(prefix string, names ...string) func(h Hook, header textproto.MIMEHeader, body []byte, now time.Time) error {
	return func(h Hook, header textproto.MIMEHeader, body []byte, _ time.Time) error {
		digits, ok := strings.CutPrefix(first(header, names), prefix)
		given, err := hex.DecodeString(digits)
		if !ok || err != nil || !h.any(func(secret string) bool { return hmac.Equal(given, sum([]byte(secret), body)) }) {
			return unproven()
		}
		return nil
	}
}

// tokenOrSigned is GitLab's: its older hooks send the secret itself, the newer ones sign with a key. Which one
// a hook has is in its secret, so that nobody can choose the weaker proof.
func tokenOrSigned(h Hook, header textproto.MIMEHeader, body []byte, now time.Time) error {
	signing, tokens := h, h
	signing.Secrets, tokens.Secrets = nil, nil
	for _, s := range h.Secrets[:min(len(h.Secrets), SecretsMax)] {
		if strings.HasPrefix(s, signingPrefix) {
			signing.Secrets = append(signing.Secrets, s)
		} else {
			tokens.Secrets = append(tokens.Secrets, s)
		}
	}
	given := sha256.Sum256([]byte(header.Get("X-Gitlab-Token")))
	if tokens.any(func(secret string) bool {
		want := sha256.Sum256([]byte(secret)) // of equal lengths, so that the comparison takes equal time
		return subtle.ConstantTimeCompare(given[:], want[:]) == 1
	}) {
		return nil
	}
	return signed(signing, header, body, now)
}

const signingPrefix = "whsec_"

// signed is the proof of Standard Webhooks: an HMAC-SHA-256 of ID.TIME.BODY, in base64 behind "v1,";
// there may be several, of which one must be right. The time is in seconds since 1970.
func signed(h Hook, header textproto.MIMEHeader, body []byte, now time.Time) error {
	id, at := header.Get("Webhook-Id"), header.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || id == "" {
		return unproven()
	}
	content := append([]byte(id+"."+at+"."), body...)
	if !h.any(func(secret string) bool {
		return signatureIn(header.Get("Webhook-Signature"), signingKey(secret), content)
	}) {
		return unproven()
	}
	if skew := now.Sub(time.Unix(seconds, 0)); skew > SkewMax || skew < -SkewMax {
		return &Error{Unproven, "the delivery was signed more than five minutes from now: it is an old one, or a clock is wrong"}
	}
	return nil
}

// signaturesMax bounds the signatures of a delivery that are looked at.
const signaturesMax = 2 * SecretsMax

func signatureIn(header string, key, content []byte) bool {
	want := sum(key, content)
	found := false
	for i, text := range strings.Fields(header) {
		digits, ok := strings.CutPrefix(text, "v1,")
		given, err := base64.StdEncoding.DecodeString(digits)
		if i < signaturesMax && ok && err == nil && hmac.Equal(given, want) {
			found = true
		}
	}
	return found
}

// signingKey is the key behind a secret. One that does not decode is used as it stands.
func signingKey(secret string) []byte {
	if digits, ok := strings.CutPrefix(secret, signingPrefix); ok {
		if key, err := base64.StdEncoding.DecodeString(digits); err == nil {
			return key
		}
	}
	return []byte(secret)
}

func sum(key, content []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(content)
	return mac.Sum(nil)
}

// any reports whether a proof holds under one of the secrets. Each is tried, whichever was right. A secret
// beyond the bounds proves nothing, above all not an empty one.
func (h Hook) any(holds func(secret string) bool) bool {
	found := false
	for i, s := range h.Secrets {
		if i < SecretsMax && len(signingKey(s)) >= SecretLenMin && len(s) <= SecretLenMax && holds(s) {
			found = true
		}
	}
	return found
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == "application/json"
}
