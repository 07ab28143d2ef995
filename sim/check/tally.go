package check

// Tally counts the judgements behind a checker's verdict: how often it has judged something that
// could have been wrong, and how often it made an exception and why. A checker embeds one and calls
// Evaluated and Excused where it does so. A verdict without judgements proves nothing: the report
// marks it, and a strict run fails.
//
// Judgements are counted, not polls: a poll that finds no job to compare counts nothing, one that
// compares forty jobs counts forty. A checker that remembers what it has judged already counts that
// once.
//
//	func (c *myCheck) Poll(v check.View) error {
//		for _, job := range c.acknowledged() {
//			if c.void(v, job) {
//				c.Excused("as many disks were lost as were promised to be survived")
//				continue
//			}
//			c.Evaluated()
//			if !known(v, job) {
//				return fmt.Errorf(...)
//			}
//		}
//		return nil
//	}
type Tally struct {
	parts [2]Count
	part  Part
}

// Count is the number of judgements behind a verdict.
type Count struct {
	// Evaluated judgements could have been a violation.
	Evaluated int
	// Excused ones were not made, by reason.
	Excused map[string]int
}

// Part is one of the two things that may be expected of a checker.
type Part uint8

// The parts of a checker, which are counted apart.
const (
	// During is what facts and polls judge.
	During Part = iota
	// AfterHeal is what Settled judges.
	AfterHeal
)

// reasonsMax bounds the different reasons of a checker: they are constant texts,
// not sentences about one node or job.
const reasonsMax = 64

// Evaluated counts one judgement.
func (t *Tally) Evaluated() { t.parts[t.part].Evaluated++ }

// EvaluatedMany counts n judgements at once.
func (t *Tally) EvaluatedMany(n int) { t.parts[t.part].Evaluated += n }

// Excused counts one judgement that was not made. why is one of few constant
// texts, such as "the disk was lost".
func (t *Tally) Excused(why string) {
	c := &t.parts[t.part]
	if c.Excused == nil {
		c.Excused = map[string]int{}
	}
	if _, known := c.Excused[why]; !known && len(c.Excused) >= reasonsMax {
		why = "other reasons"
	}
	c.Excused[why]++
}

// Counting assigns the following judgements to a part. The runner calls it.
func (t *Tally) Counting(p Part) { t.part = p }

// Counted is the count of a part.
func (t *Tally) Counted(p Part) Count { return t.parts[p] }

// Counts is implemented by a checker that embeds a [Tally].
type Counts interface {
	Checker
	Counting(Part)
	Counted(Part) Count
}
