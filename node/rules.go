package node

// Rule is what a setting of one service demands of a setting of another one, or
// of its own service on another node: nodes of one cloud that are configured
// apart may each be right and wrong together. What one instance's settings demand
// of each other is [Ruled].
type Rule struct {
	// Service and Key name the setting that a broken rule is put down to, With and
	// WithKey the one that it is at odds with.
	Service, Key, With, WithKey string
	// Broken says what is wrong between the two settings (what Spec.Settings
	// returned, decoded over and within their ranges), and what would be right; ""
	// if nothing is.
	Broken func(settings, with any) (what, hint string)
}

// NewRule makes a rule between settings of types S and W.
func NewRule[S, W any](service, key, with, withKey string, broken func(s *S, w *W) (what, hint string)) Rule {
	return Rule{Service: service, Key: key, With: with, WithKey: withKey, Broken: func(settings, other any) (what, hint string) {
		return broken(settings.(*S), other.(*W))
	}}
}
