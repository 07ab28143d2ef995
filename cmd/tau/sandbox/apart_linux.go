package sandbox

// Backend says in a word what keeps runs apart.
func (s *Sandbox) Backend() string {
	if s.groups != nil {
		return "bubblewrap and a control group"
	}
	return "bubblewrap"
}

// Apart says in whole what keeps runs apart, and why not more does.
func (s *Sandbox) Apart() string {
	if s.groups != nil {
		return "bubblewrap, a filter of system calls, a control group and limits of each process"
	}
	return "bubblewrap, a filter of system calls, limits of each process, memory looked at each " + watchEvery.String() + " (no control group: " + s.whyNot.Error() + ")"
}
