package main

// The rules by which mutants are made. Mutual exclusion (package sync), logging,
// texts for people and panics on bugs are left alone: no run of a test can tell
// the first, and nobody needs to the others.
const (
	ruleNegated    = "condition-negated"  // if a == b: if a != b
	ruleIgnored    = "error-ignored"      // if err != nil: never true; if err == nil: always
	ruleComparison = "comparison-negated" // within && and ||
	ruleOperand    = "operand-dropped"    // a && b: a, and b
	ruleBoundary   = "boundary-moved"     // a < b: a <= b
	ruleArithmetic = "arithmetic-changed" // a + b: a - b
	ruleRaised     = "constant-raised"    // 3: 4; a minute: ten minutes
	ruleZeroed     = "constant-zeroed"    // 3: 0
	ruleFlipped    = "boolean-flipped"    // true: false
	ruleSkipped    = "call-skipped"       // err := sync(): err := nil
	ruleError      = "error-dropped"      // return err: return nil
	ruleStatement  = "statement-dropped"  // assignments, calls, defer, early return, break, continue
	ruleAppend     = "append-dropped"     // return append(a, b): return a
	ruleBound      = "bound-moved"        // s[:n]: s[:n-1]
	ruleField      = "field-dropped"      // T{a: x}: T{}
)
