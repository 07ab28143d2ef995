package sweep

import (
	"fmt"
	"strconv"
	"strings"
)

// Shard is one of Of parts of a range of seeds, from 1: each seed is in exactly one.
type Shard struct{ Part, Of int }

// shardsMax is arbitrary.
const shardsMax = 10_000

// ParseShard reads "2/4". "" is the whole.
func ParseShard(text string) (Shard, error) {
	if text == "" {
		return Shard{1, 1}, nil
	}
	part, of, _ := strings.Cut(text, "/")
	i, err := strconv.Atoi(part)
	n, errToo := strconv.Atoi(of)
	if err != nil || errToo != nil || n < 1 || n > shardsMax || i < 1 || i > n {
		return Shard{}, fmt.Errorf("--shard %s: expected PART/PARTS, from 1/4 to 4/4 for instance", text)
	}
	return Shard{i, n}, nil
}

// Has reports whether the seed that is offset after the first one belongs to the shard.
func (s Shard) Has(offset uint64) bool { return offset%uint64(s.Of) == uint64(s.Part-1) }

// Whole reports whether there is no other part.
func (s Shard) Whole() bool { return s.Of == 1 }
