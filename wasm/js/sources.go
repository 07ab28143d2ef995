package js

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// mapMark begins the source map, which is the last line of a bundle.
const mapMark = "\n//# sourceMappingURL=data:application/json;base64,"

// code is a bundle without its source map.
func code(bundle []byte) []byte {
	if at := bytes.LastIndex(bundle, []byte(mapMark)); at >= 0 {
		return bundle[:at+1]
	}
	return bundle
}

// sources finds the place in the sources of one in the bundle. The map is read when it is first asked for.
type sources struct {
	bundle []byte

	once  sync.Once
	names []string
	lines [][]segment
}

// segment is where a part of a line of the bundle comes from. All count from 0.
type segment struct{ column, source, line, sourceColumn int32 }

// segmentsMax bounds what is kept of a map: whoever has made a bundle elsewhere may have put anything there.
const segmentsMax = 400_000

var (
	place     = regexp.MustCompile(regexp.QuoteMeta(bundleFile) + `:(\d+)(?::(\d+))?`)
	ofRuntime = regexp.MustCompile(`(?m)^    at .*\(?` + regexp.QuoteMeta(runtimeFile) + `[:)].*(\n|$)`)
)

// in puts the places of the sources into a text, and takes the lines about the runtime out.
func (s *sources) in(text string) string {
	if strings.Contains(text, runtimeFile) {
		text = strings.TrimSuffix(ofRuntime.ReplaceAllString(text, ""), "\n")
	}
	if !strings.Contains(text, bundleFile) {
		return text
	}
	s.once.Do(s.read)
	return place.ReplaceAllStringFunc(text, func(at string) string {
		m := place.FindStringSubmatch(at)
		line, _ := strconv.Atoi(m[1])
		column, _ := strconv.Atoi(m[2])
		name, line, column, ok := s.find(line, max(column, 1))
		if !ok {
			return at
		}
		return fmt.Sprintf("%s:%d:%d", name, line, column)
	})
}

// find is the place in the sources; all count from 1.
func (s *sources) find(line, column int) (string, int, int, bool) {
	if line < 1 || line > len(s.lines) {
		return "", 0, 0, false
	}
	parts := s.lines[line-1]
	at := sort.Search(len(parts), func(i int) bool { return int(parts[i].column) > column-1 }) - 1
	if at < 0 || parts[at].source < 0 || int(parts[at].source) >= len(s.names) {
		return "", 0, 0, false
	}
	return s.names[parts[at].source], int(parts[at].line) + 1, int(parts[at].sourceColumn) + 1, true
}

// read reads the map, as far as it can be read.
func (s *sources) read() {
	at := bytes.LastIndex(s.bundle, []byte(mapMark))
	if at < 0 {
		return
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(s.bundle[at+len(mapMark):])))
	if err != nil {
		return
	}
	var m struct {
		Sources  []string `json:"sources"`
		Mappings string   `json:"mappings"`
	}
	if json.Unmarshal(raw, &m) != nil {
		return
	}
	s.names = m.Sources
	var last segment
	kept := 0
	for line := range strings.SplitSeq(m.Mappings, ";") {
		if kept += 1 + strings.Count(line, ","); kept > segmentsMax {
			return
		}
		last.column = 0
		var parts []segment
		for text := range strings.SplitSeq(line, ",") {
			numbers := quantities(text)
			if len(numbers) == 0 {
				continue
			}
			last.column += numbers[0]
			part := segment{column: last.column, source: -1}
			if len(numbers) >= 4 {
				last.source, last.line, last.sourceColumn = last.source+numbers[1], last.line+numbers[2], last.sourceColumn+numbers[3]
				part = last
			}
			parts = append(parts, part)
		}
		s.lines = append(s.lines, parts)
	}
}

// quantities are numbers in base 64 with 5 bits a digit, the lowest first, of which the lowest bit is the sign.
func quantities(text string) (list []int32) {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	value, shift := int64(0), 0
	for _, c := range text {
		d := strings.IndexRune(digits, c)
		if d < 0 || shift > 30 {
			return nil
		}
		value |= int64(d&31) << shift
		if shift += 5; d&32 != 0 {
			continue
		}
		n := value >> 1
		if value&1 != 0 {
			n = -n
		}
		list = append(list, int32(n))
		value, shift = 0, 0
	}
	return list
}
