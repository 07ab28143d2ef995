package project

import (
	"encoding/json"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes.
type Size uint64

// sizePattern is what sizes look like: "32MB", "64MB10KB", "1GiB".
const sizePattern = `^([0-9]{1,20}([KMGT]i?)?B)+$`

var (
	sizeForm = lazily(sizePattern)
	sizePart = lazily(`([0-9]+)([KMGT]?i?)B`)
)

var sizeUnits = map[string]uint64{
	"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
}

// ParseSize reads a size: 1MB is 1,000,000 bytes, 1MiB is 1,048,576.
func ParseSize(text string) (Size, bool) {
	if !sizeForm().MatchString(text) {
		return 0, false
	}
	var sum uint64
	for _, part := range sizePart().FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseUint(part[1], 10, 64)
		high, low := bits.Mul64(n, sizeUnits[part[2]])
		total, carry := bits.Add64(sum, low, 0)
		if err != nil || high > 0 || carry > 0 {
			return 0, false
		}
		sum = total
	}
	return Size(sum), true
}

// String is the shortest text that is read as the same size.
func (s Size) String() string {
	best := strconv.FormatUint(uint64(s), 10) + "B"
	for _, unit := range []string{"T", "G", "M", "K", "Ti", "Gi", "Mi", "Ki"} {
		if n := sizeUnits[unit]; s > 0 && uint64(s)%n == 0 {
			if text := strconv.FormatUint(uint64(s)/n, 10) + unit + "B"; len(text) < len(best) {
				best = text
			}
		}
	}
	return best
}

// MarshalJSON is the text.
func (s Size) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// Duration is a length of time.
type Duration time.Duration

// durationPattern is what durations look like: "10s", "1h15m".
const durationPattern = `^([0-9]{1,9}(\.[0-9]{1,9})?(ns|us|ms|s|m|h))+$`

var durationForm = lazily(durationPattern)

// ParseDuration reads a duration.
func ParseDuration(text string) (Duration, bool) {
	if !durationForm().MatchString(text) {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	return Duration(d), err == nil && d >= 0
}

// String is without units that are nought: "1h15m".
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return strings.ReplaceAll(text, "µ", "u")
}

// MarshalJSON is the text.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }
