// Package child starts programs that are not trusted with more than they are given: each with what it has started is ended together, and none
// inherits a descriptor by accident.
package child
