package forge

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// pktLenMax is how long a packet of Git's protocol may be, with its length of four digits.
const pktLenMax = 65520

// errPkt says that something is not in the form of packets.
var errPkt = errors.New("not in the form of Git's packets")

// readPkt reads a packet, data and all; flush: it has none and ends a part.
func readPkt(from io.Reader, buffer []byte) (pkt []byte, flush bool, err error) {
	if _, err := io.ReadFull(from, buffer[:4]); err != nil {
		return nil, false, err
	}
	n, err := strconv.ParseUint(string(buffer[:4]), 16, 16)
	switch {
	case err != nil || n > pktLenMax || n == 3:
		return nil, false, errPkt
	case n < 4: // 0000, 0001 and 0002 are marks
		return buffer[:4], n == 0, nil
	}
	if _, err := io.ReadFull(from, buffer[4:n]); err != nil {
		return nil, false, fmt.Errorf("%w: it ends early", errPkt)
	}
	return buffer[:n], false, nil
}

// The bands of a sideband.
const (
	bandData     = 1
	bandProgress = 2
)

const flushPkt = "0000"

// progress makes packets of a line that Git shows as the server's.
func progress(line string) string { return inBand(bandProgress, line+"\n") }

// plain keeps what others have written from moving a cursor.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u202e' {
			return '\ufffd'
		}
		return r
	}, text)
}

// command is one ref of a push.
type command struct{ old, new, ref string }

func (c command) deletes() bool { return strings.Trim(c.new, "0") == "" }

// commands are the first part of a push.
type commands struct {
	raw      []byte
	list     []command
	sideband bool
	// report: the client reads what became of each ref. refused is why none is taken, "" if they are.
	report  bool
	refused string
}

// refusal is what is answered to a push of which nothing is taken: to whoever reads what became of refs, as Git's own server says it.
func (c commands) refusal() string {
	var b strings.Builder
	line := func(text string) { fmt.Fprintf(&b, "%04x%s\n", len(text)+5, text) }
	line("unpack ok")
	for _, one := range c.list {
		line("ng " + one.ref + " not taken")
	}
	report := b.String() + flushPkt
	return progress(c.refused) + inBand(bandData, report) + flushPkt
}

// inBand makes packets of one band.
func inBand(band byte, text string) string {
	const most = 900 // of a packet: also clients without side-band-64k would take it
	var b strings.Builder
	for text != "" {
		part := text[:min(len(text), most)]
		text = text[len(part):]
		fmt.Fprintf(&b, "%04x%c%s", len(part)+5, band, part)
	}
	return b.String()
}

// readCommands reads the part of a push that says which refs are to move, up to its flush packet, of at most commandsLenMax bytes.
func readCommands(from io.Reader) (c commands, err error) {
	buffer := make([]byte, pktLenMax)
	for {
		pkt, flush, err := readPkt(from, buffer)
		if errors.Is(err, io.EOF) && len(c.raw) == 0 {
			return c, nil // a client that asks whether it may push
		}
		if err != nil {
			return c, err
		}
		if c.raw = append(c.raw, pkt...); len(c.raw) > commandsLenMax {
			return c, fmt.Errorf("more than %d bytes of refs", commandsLenMax)
		}
		if flush {
			return c, nil
		}
		if err := c.add(string(pkt[4:])); err != nil {
			return c, err
		}
	}
}

func (c *commands) add(line string) error {
	line, capabilities, first := strings.Cut(strings.TrimSuffix(line, "\n"), "\x00")
	if strings.HasPrefix(line, "shallow ") {
		return nil
	}
	if first {
		for word := range strings.FieldsSeq(capabilities) {
			c.sideband = c.sideband || word == "side-band-64k"
			c.report = c.report || word == "report-status" || word == "report-status-v2"
		}
	}
	parts := strings.SplitN(line, " ", 3)
	if len(parts) != 3 || !commitForm.MatchString(parts[0]) || !commitForm.MatchString(parts[1]) {
		return fmt.Errorf("%w: expected OLD NEW REF", errPkt)
	}
	own := strings.HasPrefix(parts[2], "refs/dreamland/") && !pushable(parts[2])
	if !strings.HasPrefix(parts[2], "refs/") || own || plain(parts[2]) != parts[2] { // of others git says that it does not take them
		c.refused = fmt.Sprintf("%.100q may not be pushed: branches and tags may", parts[2])
		if plain(parts[2]) != parts[2] {
			c.refused += ", by names in UTF-8 that can be seen"
		}
	}
	if c.list = append(c.list, command{parts[0], parts[1], parts[2]}); len(c.list) > RefsPerPushMax {
		return fmt.Errorf("more than %d refs in one push", RefsPerPushMax)
	}
	return nil
}
