package scenario

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

// durationMax bounds every duration in a file: a year of virtual time.
const durationMax = 365 * 24 * time.Hour

func (d *decoder) text(v *value, what string) (string, bool) {
	if v.kind != scalar {
		d.fail(v, "write a word, in quotes if it has punctuation", "%s: expected text, found %s", what, v)
		return "", false
	}
	return v.text, true
}

// word is a text that is not empty.
func (d *decoder) word(v *value, what string) string {
	text, ok := d.text(v, what)
	if ok && text == "" {
		d.fail(v, "write a word", "%s: expected a word, found %s", what, v)
	}
	return text
}

func (d *decoder) boolean(v *value, what string) (on, ok bool) {
	if v.kind == scalar && !v.quoted {
		switch v.text {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	d.fail(v, "write true or false", "%s: expected true or false, found %s", what, v)
	return false, false
}

// units are the suffixes of sizes.
var units = []struct {
	suffix string
	factor int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}}

func (d *decoder) integer(v *value, what string) (int64, bool) {
	if v.kind == scalar && !v.quoted {
		text, factor := v.text, int64(1)
		for _, u := range units {
			if rest, found := strings.CutSuffix(text, u.suffix); found && !strings.HasPrefix(text, "0x") {
				text, factor = strings.TrimSpace(rest), u.factor
				break
			}
		}
		n, err := parseInt(text)
		if err == nil && n <= math.MaxInt64/factor && n >= math.MinInt64/factor {
			return n * factor, true
		}
	}
	d.fail(v, numberHint(v), "%s: expected a whole number, found %s", what, v)
	return 0, false
}

// parseInt reads 40, 1_000 and 0xff, but not 010, which means different numbers
// to different people.
func parseInt(text string) (int64, error) {
	digits := strings.TrimPrefix(text, "-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] != 'x' {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(text, 0, 64)
}

func (d *decoder) unsigned(v *value, what string) (uint64, bool) {
	if v.kind == scalar && !v.quoted {
		n, err := strconv.ParseUint(v.text, 10, 64)
		if err == nil && (len(v.text) == 1 || v.text[0] != '0') {
			return n, true // the upper half of the range is no int64
		}
	}
	n, ok := d.integer(v, what)
	if ok && n < 0 {
		d.fail(v, "write 0 or more", "%s: %d is negative", what, n)
		return 0, false
	}
	return uint64(n), ok
}

func numberHint(v *value) string {
	if v.kind == scalar && v.quoted {
		return "remove the quotes around the number"
	}
	return "write digits, such as 40"
}

func (d *decoder) float(v *value, what string) (float64, bool) {
	if v.kind == scalar && !v.quoted {
		x, err := strconv.ParseFloat(v.text, 64)
		if err == nil && !math.IsNaN(x) && !math.IsInf(x, 0) {
			return x, true
		}
	}
	d.fail(v, numberHint(v), "%s: expected a number, found %s", what, v)
	return 0, false
}

// tooLong is what is well formed and beyond what a time.Duration can be.
var tooLong = regexp.MustCompile(`^[+-]?[0-9]{7,}(h|m|s)$`)

const durationHint = `write a number with a unit: 250ms, 5s, 1m30s, 2h`

// duration reads a duration of at least zero.
func (d *decoder) duration(v *value, what string) time.Duration {
	length := d.signedDuration(v, what)
	if length < 0 {
		d.fail(v, "write a positive duration, such as "+(-length).String(), "%s: %s is negative", what, length)
		return 0
	}
	return length
}

func (d *decoder) signedDuration(v *value, what string) time.Duration {
	if v.kind != scalar {
		d.fail(v, durationHint, "%s: expected a duration such as 30s, found %s", what, v)
		return 0
	}
	return d.parseDuration(v, v.text, what)
}

func (d *decoder) parseDuration(v *value, text, what string) time.Duration {
	length, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil {
		hint := durationHint
		if tooLong.MatchString(strings.TrimSpace(text)) {
			d.fail(v, "write a duration of at most a year: 8760h", "%s: %s is more than a year", what, text)
			return 0
		}
		if _, err := strconv.ParseFloat(text, 64); err == nil && len(text) < 12 {
			hint = "add a unit: " + text + "s"
		}
		d.fail(v, hint, "%s: expected a duration such as 30s, found %s", what, quote(text))
		return 0
	}
	if length.Abs() > durationMax || length == math.MinInt64 {
		d.fail(v, "write a duration of at most a year: 8760h", "%s: %s is more than a year", what, length)
		return 0
	}
	return length
}

// durations reads "5ms..40ms", or one duration as a range of itself.
func (d *decoder) durations(v *value, what string) fault.Range {
	lo, hi, isRange := strings.Cut(v.text, "..")
	if v.kind != scalar || !isRange {
		one := d.duration(v, what)
		return fault.Range{Min: one, Max: one}
	}
	r := fault.Range{Min: d.parseDuration(v, lo, what), Max: d.parseDuration(v, hi, what)}
	if r.Min < 0 || r.Max < 0 {
		d.fail(v, "write positive durations, such as 5ms..40ms", "%s: %s has a negative end", what, quote(v.text))
		return fault.Range{}
	}
	if r.Max < r.Min {
		d.fail(v, "write the smaller one first: "+r.Max.String()+".."+r.Min.String(), "%s: %s is a range backwards", what, quote(v.text))
		return fault.Range{}
	}
	return r
}

// Offset is a duration that may be negative.
type Offset time.Duration

func (o *Offset) decode(d *decoder, v *value) { *o = Offset(d.signedDuration(v, "by")) }

// Bandwidth is in bytes a second, written 512kB/s, 10MiB/s or as a number.
type Bandwidth int64

func (b *Bandwidth) decode(d *decoder, v *value) {
	trimmed := *v
	trimmed.text = strings.TrimSuffix(v.text, "/s")
	n, ok := d.integer(&trimmed, "bandwidth")
	if ok && n <= 0 {
		d.fail(v, "write bytes a second: 512kB/s, 10MiB/s", "bandwidth: expected more than zero, found %s", v)
		return
	}
	*b = Bandwidth(n)
}

// Loss is a probability up to fault.LossMax.
type Loss float64

func (l *Loss) decode(d *decoder, v *value) {
	before := d.failures
	p := d.probability(v, "loss")
	if d.failures == before && p > fault.LossMax {
		d.fail(v, "write at most 50%, or cut the link", "loss: %s is too much for any connection", v)
	}
	*l = Loss(p)
}

// Probability is between 0 and 1, or in percent: 0.01 or 1%.
type Probability float64

func (p *Probability) decode(d *decoder, v *value) { *p = Probability(d.probability(v, "probability")) }

func (d *decoder) probability(v *value, what string) float64 {
	trimmed, percent := *v, false
	trimmed.text, percent = strings.CutSuffix(v.text, "%")
	x, ok := d.float(&trimmed, what)
	if percent {
		x /= 100
	}
	if ok && (x < 0 || x > 1) {
		d.fail(v, "write a number from 0 to 1, or a percentage", "%s: %s is not between 0 and 1", what, v)
		return 0
	}
	return x
}
