package live

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/substrate/substrateapi"
)

// Metric is one of a node's own metrics: counters end in _total, and names say their unit.
type Metric struct {
	// Name is what Prometheus calls it, Doc what it means, in docs/operate.md as well.
	Name, Doc string
	Labels    []string
	kind      prometheus.ValueType
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// functionLabels are those of a function.
var functionLabels = []string{"project", "branch", "function"}

// Metrics are all of them, but for those of the Go runtime (go_*) and the process (process_*).
var Metrics = []Metric{
	{"tau_node_info", "1; its labels name the node, its cloud and its release.", []string{"node", "cloud", "release"}, gauge},
	{"tau_node_ready", "1 while the node has started, all its services serve and others take it for a member.", nil, gauge},
	{"tau_service_ready", "1 while a service of the node serves, 0 while it refuses to.", []string{"service"}, gauge},
	{"tau_node_incarnation", "How often the node has started on its disk.", nil, gauge},
	{"tau_certificate_expiry_timestamp_seconds", "When the node's certificate ends, in seconds since 1970; 0 if it has none that counts.", nil, gauge},
	{"tau_members_known", "Other members that the node knows, dead or alive.", nil, gauge},
	{"tau_members_alive", "Other members that are alive, as seers say; absent while none has answered.", nil, gauge},
	{"tau_facts_total", "What services have reported, by service and fact, such as patrick's job-acked.", []string{"service", "fact"}, counter},
	{"tau_log_lines_total", "Warnings and errors in the node's log.", []string{"level"}, counter},
	{"tau_gauge", "What services announce of the node to others, by name, such as hoarder.bytes-used.", []string{"name"}, gauge},
	{"tau_turns_total", "Turns of each loop: pieces of work of a service, one at a time.", []string{"loop"}, counter},
	{"tau_turns_long_total", "Turns of more than 50 ms, which hold up all else of their service.", []string{"loop"}, counter},
	{"tau_turn_longest_seconds", "The longest turn of each loop since the node began.", []string{"loop"}, gauge},
	{"tau_turn_p99_seconds", "What 99 of 100 turns of each loop did not exceed, to a factor of two.", []string{"loop"}, gauge},
	{"tau_disk_free_bytes", "What the file system of the node's disk has left, the ballast of the disk included.", nil, gauge},
	{"tau_disk_reserve_bytes", "What is kept free of it: below, what is new is refused.", nil, gauge},
	{"tau_disk_full", "1 while what is new is refused because the disk is full.", nil, gauge},
	{"tau_disk_failed", "1 when the disk has failed and nothing is written any more.", nil, gauge},
	{"tau_disk_used_bytes", "What the files of the node's disk take, without the ballast.", nil, gauge},
	{"tau_disk_log_bytes", "The part of it that is the log.", nil, gauge},
	{"tau_disk_written_bytes_total", "What was written, to the log, to tables (flush) and again (compaction).", []string{"to"}, counter},
	{"tau_disk_compactions_total", "How often tables were written anew.", nil, counter},
	{"tau_transport_frames_total", "Frames that were received (in) and sent (out).", []string{"direction"}, counter},
	{"tau_transport_bytes_total", "Bytes of those frames, without what encryption adds.", []string{"direction"}, counter},
	{"tau_transport_connections", "libp2p connections that are open, by who has opened them.", []string{"direction"}, gauge},
	{"tau_transport_connections_max", "How many there may be.", nil, gauge},
	{"tau_transport_conns", "Conns with members and who asks to be one: each member has one for each kind of traffic.", nil, gauge},
	{"tau_transport_streams", "libp2p streams that are open.", nil, gauge},
	{"tau_transport_memory_bytes", "Buffers of connections.", nil, gauge},
	{"tau_function_requests_total", "Requests of each function here, by outcome: answered, failed (stopped, or 500 and more) and refused (no place was free).", append(functionLabels, "outcome"), counter},
	{"tau_function_cold_total", "Those that waited until the function's module was loaded.", functionLabels, counter},
	{"tau_function_fuel_total", "What its requests have cost, in units of the engine: about one for each instruction.", functionLabels, counter},
	{"tau_function_memory_max_bytes", "The most memory that one request had, since the node's start.", functionLabels, gauge},
	{"tau_function_in_flight", "Requests of a function that run now.", functionLabels, gauge},
	{"tau_function_duration_seconds", "How long requests of a function took: a histogram.", functionLabels, gauge},
}

// collector asks a node for its metrics when somebody wants them.
type collector struct {
	r     *running
	descs map[string]*prometheus.Desc
}

// newRegistry is that of one node.
func newRegistry(r *running) *prometheus.Registry {
	c := &collector{r, map[string]*prometheus.Desc{}}
	for _, m := range Metrics {
		c.descs[m.Name] = prometheus.NewDesc(m.Name, m.Doc, m.Labels, nil)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range Metrics {
		to <- c.descs[m.Name]
	}
}

// sample is what a node tells about itself at one moment.
type sample struct {
	to    chan<- prometheus.Metric
	descs map[string]*prometheus.Desc
	kinds map[string]prometheus.ValueType
}

func (s sample) set(name string, value float64, labels ...string) {
	s.to <- prometheus.MustNewConstMetric(s.descs[name], s.kinds[name], value, labels...)
}

func (s sample) yes(name string, is bool, labels ...string) {
	value := 0.0
	if is {
		value = 1
	}
	s.set(name, value, labels...)
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	s := sample{to, c.descs, map[string]prometheus.ValueType{}}
	for _, m := range Metrics {
		s.kinds[m.Name] = m.kind
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r := c.r
	s.set("tau_node_info", 1, r.cfg.Shape.Name, r.cfg.Shape.Network, r.cfg.Release)
	for k, n := range r.cfg.Log.facts.counts() {
		s.set("tau_facts_total", float64(n), k.service, k.fact)
	}
	warnings, failures := r.cfg.Log.kept.counts()
	s.set("tau_log_lines_total", float64(warnings), "warn")
	s.set("tau_log_lines_total", float64(failures), "error")
	c.collectParts(s)
	c.collectNode(ctx, s)
}

// collectParts is what is known without a turn.
func (c *collector) collectParts(s sample) {
	c.r.mu.Lock()
	disk, host := c.r.disk, c.r.host
	c.r.mu.Unlock()
	if disk != nil {
		d := disk.Stats()
		s.set("tau_disk_free_bytes", float64(d.Free))
		s.set("tau_disk_reserve_bytes", float64(d.Reserve))
		s.yes("tau_disk_full", d.Full)
		s.yes("tau_disk_failed", d.Failed)
		s.set("tau_disk_used_bytes", float64(d.Used))
		s.set("tau_disk_log_bytes", float64(d.Log))
		s.set("tau_disk_written_bytes_total", float64(d.LogWritten), "log")
		s.set("tau_disk_written_bytes_total", float64(d.Flushed), "flush")
		s.set("tau_disk_written_bytes_total", float64(d.Compacted), "compaction")
		s.set("tau_disk_compactions_total", float64(d.Compactions))
	}
	if host != nil {
		h := host.Stats()
		s.set("tau_transport_frames_total", float64(h.FramesIn), "in")
		s.set("tau_transport_frames_total", float64(h.FramesOut), "out")
		s.set("tau_transport_bytes_total", float64(h.BytesIn), "in")
		s.set("tau_transport_bytes_total", float64(h.BytesOut), "out")
		s.set("tau_transport_connections", float64(h.ConnectionsIn), "in")
		s.set("tau_transport_connections", float64(h.Connections-h.ConnectionsIn), "out")
		s.set("tau_transport_connections_max", float64(h.ConnectionsMax))
		s.set("tau_transport_conns", float64(h.Conns))
		s.set("tau_transport_streams", float64(h.Streams))
		s.set("tau_transport_memory_bytes", float64(h.Memory))
	}
}

// collectNode is what takes a turn, or an answer of a seer, within 2 s.
func (c *collector) collectNode(ctx context.Context, s sample) {
	n, ready := c.r.started(), map[string]bool{}
	if n != nil {
		_ = clock.Do(ctx, c.r.main, func(ctx context.Context) {
			ready = n.ServicesReady(ctx)
			for _, t := range n.Turns() {
				s.set("tau_turns_total", float64(t.Count()), t.Loop)
				s.set("tau_turns_long_total", float64(t.Long), t.Loop)
				s.set("tau_turn_longest_seconds", t.Longest.Seconds(), t.Loop)
				s.set("tau_turn_p99_seconds", t.Quantile(0.99).Seconds(), t.Loop)
			}
		})
	}
	all := n != nil && c.r.stranger() == ""
	for _, name := range c.r.cfg.Shape.Services {
		all = all && ready[name]
		s.yes("tau_service_ready", ready[name], name)
	}
	s.yes("tau_node_ready", all)
	_ = c.r.on(ctx, func(ctx context.Context, env node.Env) error {
		if slices.Contains(c.r.cfg.Shape.Services, substrateapi.Service) {
			s.functions(ctx, env)
		}
		s.set("tau_node_incarnation", float64(env.Incarnation))
		s.set("tau_certificate_expiry_timestamp_seconds", float64(env.Authority.OwnUntil()))
		for name, value := range env.Gauges() {
			s.set("tau_gauge", float64(value), name)
		}
		list, unsure := c.r.listPeers(ctx, env)
		s.set("tau_members_known", float64(len(list)))
		alive := 0
		for _, p := range list {
			if p.Alive != nil && *p.Alive {
				alive++
			}
		}
		if unsure == nil {
			s.set("tau_members_alive", float64(alive))
		}
		return nil
	})
}
