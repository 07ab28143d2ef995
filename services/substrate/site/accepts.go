package site

import (
	"strconv"
	"strings"
)

// weights are what an Accept-Encoding says, in thousandths.
type weights struct {
	named map[string]int
	rest  int // of those that it does not name: "*"
	all   bool
}

// weighedMax bounds the encodings of a field that count.
const weighedMax = 64

// weigh reads an Accept-Encoding (RFC 9110, section 12.5.3). What has a weight that is none does not count.
func weigh(field string) weights {
	w := weights{}
	for part := range strings.SplitSeq(field, ",") {
		name, parameters, _ := strings.Cut(part, ";")
		weight, ok := weightOf(parameters)
		switch name = strings.ToLower(strings.TrimSpace(name)); {
		case !ok || name == "" || len(w.named) >= weighedMax:
			continue
		case name == "*":
			w.rest, w.all = weight, true
			continue
		case name == "x-gzip":
			name = "gzip"
		}
		if w.named == nil {
			w.named = map[string]int{}
		}
		w.named[name] = weight
	}
	return w
}

// of is the weight of an encoding. A file as it is may always be sent, after all that is named, unless it is ruled out.
func (w weights) of(encoding string) int {
	if v, named := w.named[encoding]; named {
		return v
	}
	switch {
	case w.all:
		return w.rest
	case encoding == "identity":
		return 1
	}
	return 0
}

// weightOf reads "q=0.5".
func weightOf(parameters string) (thousandths int, ok bool) {
	parameters = strings.TrimSpace(parameters)
	if parameters == "" {
		return 1000, true
	}
	name, text, _ := strings.Cut(parameters, "=")
	if !strings.EqualFold(strings.TrimSpace(name), "q") {
		return 0, false
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, false
	}
	return int(v*1000 + 0.5), true
}
