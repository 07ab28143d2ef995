// Package fail names the moments at which a fault can be injected: failpoints.
//
// A point is a package variable of the service that owns it:
//
//	var afterLock = fail.Register("monkey/after-lock", "holds the lock, has not begun to build")
//
// and is passed with afterLock.Hit(ctx, env) where the moment is. When no point
// is enabled anywhere, that costs one atomic load. Points are switched on by a
// scenario, or in the shipped binary by GO_FAILPOINTS, with terms of one form:
// return("crash"), return("error"), return("drop"), return("delay 3s"). The
// library only decides; what happens is carried out here, on the service's loop.
package fail
