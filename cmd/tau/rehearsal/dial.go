package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// dialLenMax bounds the line by which a dial begins.
const dialLenMax = 300

// answered is what a relay says when the conn is there; it closes the conn otherwise.
const answered = '+'

// errRefused is that of a dial which the relay has closed.
var errRefused = errors.New("connection refused")

// Dialer dials through a relay, which is told who dials, and whom.
type Dialer struct {
	Relay string // host:port
	From  string // the node's name
}

// DialContext implements net's and libp2p's interface of the same name: it returns when the other end has accepted.
func (d Dialer) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", d.Relay)
	if err != nil {
		return nil, err
	}
	if end, bounded := ctx.Deadline(); bounded {
		_ = conn.SetDeadline(end)
	}
	if _, err = fmt.Fprintf(conn, "%s %s\n", d.From, address); err == nil {
		err = awaitAnswer(conn)
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return conn, conn.SetDeadline(time.Time{})
}

func awaitAnswer(conn net.Conn) error {
	one := make([]byte, 1)
	switch _, err := io.ReadFull(conn, one); {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return errRefused
	case err != nil:
		return err
	case one[0] != answered:
		return fmt.Errorf("this is no relay: it answers %q", one)
	}
	return nil
}

// Accept reads who dials whom from a conn to a relay. Answer lets the dial come true.
func Accept(conn io.Reader) (from, address string, err error) {
	var text []byte
	for one := make([]byte, 1); ; text = append(text, one[0]) {
		if _, err := io.ReadFull(conn, one); err != nil {
			return "", "", err
		}
		if one[0] == '\n' {
			break
		}
		if len(text) == dialLenMax {
			return "", "", errors.New("a dial begins with a line that is too long")
		}
	}
	from, address, found := strings.Cut(string(text), " ")
	if !found {
		return "", "", fmt.Errorf("%q is no dial", text)
	}
	return from, address, nil
}

// Answer tells whoever has dialed that the conn is there.
func Answer(conn io.Writer) error {
	_, err := conn.Write([]byte{answered})
	return err
}
