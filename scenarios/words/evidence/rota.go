package evidence

import "time"

// Rota is a list of things to look at again and again that grows without end: the
// young ones are due at each look, of the old ones a few in turn. What is wrong for
// good with an old one is found after len/oldAtOnce looks.
type Rota struct {
	Ids   []string
	born  []time.Duration
	known map[string]bool
	young int // index of the first one that is young
	turn  int
}

const (
	youngFor  = time.Minute
	oldAtOnce = 40
)

// Add puts something on the list, unless it is there.
func (r *Rota) Add(id string, now time.Duration) {
	if r.known == nil {
		r.known = map[string]bool{}
	}
	if !r.known[id] {
		r.known[id] = true
		r.Ids, r.born = append(r.Ids, id), append(r.born, now)
	}
}

// Due lists what is to be looked at now, as two parts.
func (r *Rota) Due(now time.Duration) [2][]string {
	for r.young < len(r.Ids) && r.born[r.young] < now-youngFor {
		r.young++
	}
	if r.turn >= r.young {
		r.turn = 0
	}
	from := r.turn
	r.turn = min(r.young, from+oldAtOnce)
	return [2][]string{r.Ids[from:r.turn], r.Ids[r.young:]}
}
