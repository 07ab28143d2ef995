package live

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// TryListen listens at a multiaddr for a moment, and says what is wrong with that and what to do about it; "" is nothing.
func TryListen(text string) (what, hint string) {
	a, err := multiaddr.NewMultiaddr(text)
	if err != nil {
		return fmt.Sprintf("%s is no address", text), err.Error()
	}
	network, address, err := manet.DialArgs(a)
	if err != nil {
		return "", "" // nothing that a socket is: libp2p says what is wrong with it
	}
	if strings.HasPrefix(network, "tcp") {
		l, err := net.Listen(network, address)
		if err != nil {
			return whyNotListen(text, network, address, err)
		}
		_ = l.Close()
	} else if strings.HasPrefix(network, "udp") {
		l, err := net.ListenPacket(network, address)
		if err != nil {
			return whyNotListen(text, network, address, err)
		}
		_ = l.Close()
	}
	return "", ""
}

// TryDoor is TryListen at a host and a port, where the node serves those outside of the cloud.
func TryDoor(address string) (what, hint string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return whyNotListen(address, "tcp", address, err)
	}
	_ = l.Close()
	return "", ""
}

func whyNotListen(text, network, address string, err error) (what, hint string) {
	host, port, _ := net.SplitHostPort(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf("%s: another process has the %s port %s", text, strings.TrimRight(network, "46"), port),
			fmt.Sprintf("ss -lntup 'sport = :%s' shows which: stop it, or choose another port", port)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("%s: this machine has no address %s", text, host), "0.0.0.0 or :: listens on all that it has; p2p-announce says what others are told"
	case errors.Is(err, syscall.EACCES):
		return fmt.Sprintf("%s: this user may not listen on the port %s", text, port), "choose one from 1024 on, or give the service CAP_NET_BIND_SERVICE"
	}
	return fmt.Sprintf("%s cannot be listened on: %v", text, err), "choose another address"
}

// whyNoHost says which of a node's addresses is why its host did not start.
func whyNoHost(listen []string, err error) error {
	for _, text := range listen {
		if what, hint := TryListen(text); what != "" {
			return fmt.Errorf("p2p-listen: %s (%s)", what, hint)
		}
	}
	return fmt.Errorf("listen on %v: %w", listen, err)
}
