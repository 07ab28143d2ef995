package cmdline

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
)

// Ports that programs choose are from portsFrom on, below those that Linux lends to outgoing connections (ip_local_port_range:
// 32768 and more): a port that is free now is not somebody else's a moment later only because he called somewhere.
const (
	portsFrom = 16384
	portsMany = 16384
	// portsBlock is how many a process tries before it comes to those at which the next process began.
	portsBlock = 32
)

var portsTried atomic.Int64

// Free reports whether nobody has a port of 127.0.0.1, neither of TCP nor of UDP.
func Free(port int) bool {
	at := fmt.Sprintf("127.0.0.1:%d", port)
	l, err := net.Listen("tcp", at)
	if err != nil {
		return false
	}
	p, err := net.ListenPacket("udp", at)
	if err == nil {
		_ = p.Close()
	}
	_ = l.Close()
	return err == nil
}

// FreePort is a port of 127.0.0.1 that is free, and that no call of this process has had lately. Processes begin at
// ports of their own, so that two that choose at the same time seldom choose the same.
func FreePort() (int, error) {
	for range portsMany {
		port := portsFrom + (os.Getpid()*portsBlock+int(portsTried.Add(1)))%portsMany
		if Free(port) {
			return port, nil
		}
	}
	return 0, errors.New("no port is free")
}
