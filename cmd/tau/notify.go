package main

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// notify tells systemd how the node is, if that has started this process and listens (sd_notify(3)).
func notify(state string) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	if conn, err := net.Dial("unixgram", name); err == nil { // @ begins an abstract name for both
		_, _ = conn.Write([]byte(state))
		_ = conn.Close()
	}
}

// notifyReloading says so with the moment at which it began, which systemd waits for the end of from 253 on.
func notifyReloading() {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
}
