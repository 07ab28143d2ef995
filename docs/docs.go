// Package docs holds what programs read of the documentation.
package docs

import _ "embed"

// Methods is methods.md: all that a node serves, and who may use it. It is made from the code and
// compared with it by a test; a simulated world is judged by it.
//
//go:embed methods.md
var Methods string
