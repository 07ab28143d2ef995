package live

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
)

const (
	// coreServices are those of a core, which keeps jobs and everything else that survives.
	coreServices = "auth,seer,tns,hoarder,patrick"
	// readyWithin is how long a node that was measured may take to be ready, or all of a large cloud.
	readyWithin = 3 * time.Minute
	// pageLenMax bounds the page of metrics.
	pageLenMax = 4 << 20
)

// operated is a cloud as operators set it up: by commands of tau, with nothing between its nodes.
type operated struct {
	ctx     context.Context
	tau     string
	root    string
	starter *starter
	nodes   []*operatedNode
}

// operatedNode is one node, from start to start.
type operatedNode struct {
	cloud  *operated
	name   string
	cmd    *exec.Cmd
	client *taulive.Client
	ended  chan struct{}
}

// run runs a command of tau.
func (o *operated) run(stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(o.ctx, o.tau, append(args, "--root", o.root)...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("tau %s: %w: %s", strings.Join(args, " "), errors.Join(err, o.ctx.Err()), bytes.TrimSpace(complaint.Bytes()))
	}
	return out.String(), nil
}

// begin makes the first node of the cloud, a core, and starts it.
func (o *operated) begin() error {
	if _, err := o.run("", "config", "generate", "-n", domain, "-s", "core-1", "--name", "core-1", "--protos", coreServices, "--p2p-port", "0"); err != nil {
		return err
	}
	return o.add("core-1")
}

// join makes and starts further nodes that run services, by one invitation.
func (o *operated) join(names []string, services string) error {
	if len(names) == 0 {
		return nil
	}
	ticket, err := o.run("", "invite", "-s", "core-1", "--services", services, "--uses", fmt.Sprint(len(names)))
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := o.run(ticket, "config", "generate", "--invite", "-", "-s", name, "--name", name, "--p2p-port", "0"); err != nil {
			return err
		}
		if err := o.add(name); err != nil {
			return err
		}
	}
	return nil
}

func (o *operated) add(name string) error {
	n := &operatedNode{cloud: o, name: name, client: taulive.NewClient(shape.PathsOf(o.root, name).Socket)}
	o.nodes = append(o.nodes, n)
	return n.start()
}

func (o *operated) node(name string) *operatedNode {
	return o.nodes[slices.IndexFunc(o.nodes, func(n *operatedNode) bool { return n.name == name })]
}

// settle waits until all nodes are ready and know each other.
func (o *operated) settle() error {
	for _, n := range o.nodes {
		err := n.until("knows all others", func() bool {
			var peers []taulive.Peer
			return n.client.Ask(o.ctx, "peers", nil, nil, &peers) == nil && len(peers) == len(o.nodes)-1
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// close kills all nodes.
func (o *operated) close() {
	for _, n := range o.nodes {
		n.kill()
	}
	o.starter.close()
}

func (n *operatedNode) start() error {
	log, err := os.OpenFile(filepath.Join(n.cloud.root, n.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(n.cloud.tau, "start", "-s", n.name, "--root", n.cloud.root)
	cmd.Stdout, cmd.Stderr = log, log
	if err := n.cloud.starter.start(cmd); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	n.cmd, n.ended = cmd, ended
	return nil
}

func (n *operatedNode) pid() int { return n.cmd.Process.Pid }

func (n *operatedNode) kill() {
	_ = n.cmd.Process.Kill()
	<-n.ended
}

// stop ends it in order.
func (n *operatedNode) stop() error {
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.ended:
		return nil
	case <-time.After(time.Minute):
		return fmt.Errorf("%s does not end", n.name)
	}
}

// restart kills the node and starts it, and returns how long it took from the start of the process until its services had
// started, and until all served: seers listen for two seconds before they say who is alive.
func (n *operatedNode) restart() (started, serving time.Duration, err error) {
	n.kill()
	began := time.Now()
	if err := n.start(); err != nil {
		return 0, 0, err
	}
	if err := n.until("has started", n.started); err != nil {
		return 0, 0, err
	}
	started = time.Since(began)
	err = n.until("serves", n.ready)
	return started, time.Since(began), err
}

// started reports whether services have started.
func (n *operatedNode) started() bool {
	page, err := n.client.Page(n.cloud.ctx, "/readyz", 1024)
	return err == nil && len(page) > 0 && !strings.HasPrefix(string(page), "node:")
}

func (n *operatedNode) ready() bool {
	page, err := n.client.Page(n.cloud.ctx, "/readyz", 1024)
	return err == nil && string(page) == "ok\n"
}

// until waits for a condition, of a process that runs.
func (n *operatedNode) until(what string, condition func() bool) error {
	for end := time.Now().Add(readyWithin); !condition(); time.Sleep(5 * time.Millisecond) {
		select {
		case <-n.cloud.ctx.Done():
			return n.cloud.ctx.Err()
		case <-n.ended:
			return fmt.Errorf("%s has ended: %s", n.name, n.tail())
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: not within %s: %s: %s", n.name, readyWithin, what, n.tail())
		}
	}
	return nil
}

// tail is the end of its log.
func (n *operatedNode) tail() string {
	raw, _ := os.ReadFile(filepath.Join(n.cloud.root, n.name+".log"))
	return string(raw[max(0, len(raw)-2000):])
}

// metric is the sum of all samples of a metric whose labels contain a text.
func (n *operatedNode) metric(name, labels string) (sum float64, err error) {
	page, err := n.client.Page(n.cloud.ctx, "/metrics", pageLenMax)
	if err != nil {
		return 0, err
	}
	found := false
	for lines := bufio.NewScanner(bytes.NewReader(page)); lines.Scan(); {
		what, value, _ := strings.Cut(lines.Text(), " ")
		if is, rest, _ := strings.Cut(what, "{"); is != name || !strings.Contains(rest, labels) {
			continue
		}
		x, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum, found = sum+x, true
	}
	if !found {
		return 0, fmt.Errorf("%s has no metric %s", n.name, name)
	}
	return sum, nil
}

// facts calls f with all that a node has reported since its process began and still keeps.
func (n *operatedNode) facts(f func(taulive.Fact)) error {
	for req := (taulive.FactsRequest{}); ; {
		var page taulive.FactsResponse
		if err := n.client.Ask(n.cloud.ctx, "facts", nil, req, &page); err != nil {
			return err
		}
		for _, one := range page.Facts {
			f(one)
		}
		if req.Run, req.After = page.Run, page.Next; len(page.Facts) == 0 {
			return nil
		}
	}
}
