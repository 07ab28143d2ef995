package project

import (
	"fmt"
	"io/fs"
	"strings"
	"testing/fstest"

	"pgregory.net/rapid"
)

// draw draws projects that are valid in a form.
type draw struct {
	*rapid.T
	form  Form
	count int
}

func projects(form Form) *rapid.Generator[*Project] {
	return rapid.Custom(func(t *rapid.T) *Project {
		d := &draw{T: t, form: form}
		p := &Project{Name: d.name("project"), ID: d.id(), Description: d.text(), Tags: d.texts()}
		if d.yes() {
			p.Email = "ops@example.com"
			p.Clouds = map[string]Cloud{"cloud.example.com": {"acme", "prod"}, "x.example.org": {"", "free"}}
		}
		d.scope(&p.Scope, nil)
		for i := range rapid.IntRange(0, 2).Draw(t, "applications") {
			a := Application{Base: d.base(fmt.Sprintf("app%d", i))}
			d.scope(&a.Scope, p.Domains)
			p.Applications = append(p.Applications, a)
		}
		return p
	})
}

func (d *draw) yes() bool { return rapid.Bool().Draw(d.T, "yes") }
func (d *draw) name(what string) string {
	return rapid.StringMatching(`[A-Za-z_][A-Za-z0-9_-]{0,8}`).Draw(d.T, what)
}
func (d *draw) text() string {
	return rapid.OneOf(rapid.Just(""), rapid.SampledFrom([]string{"null", "true", "12", "a: b", "- x", "#c", "*a", "&a", "'", `"\`, " lead", "tail ", "two\nlines", "\t", "é\u2028", "~", "{", "@x", "%"})).Draw(d.T, "text")
}
func (d *draw) texts() (list []string) {
	return rapid.SampledFrom([][]string{nil, {"a"}, {"b", "a"}, {"yes", "1.5", "x y"}}).Draw(d.T, "texts")
}

func (d *draw) id() string {
	if d.count++; d.yes() {
		return fmt.Sprintf("Qm%d", d.count)
	}
	return ""
}

func (d *draw) base(name string) Base {
	return Base{Name: name, ID: d.id(), Description: d.text(), Tags: d.texts()}
}

// names are distinct and sorted.
func (d *draw) bases(prefix string) (list []Base) {
	for i := range rapid.IntRange(0, 2).Draw(d.T, prefix) {
		list = append(list, d.base(fmt.Sprintf("%s%d", prefix, i)))
	}
	return list
}

func (d *draw) scope(s *Scope, global []Domain) {
	for _, b := range d.bases("dom") {
		s.Domains = append(s.Domains, Domain{Base: b, FQDN: fmt.Sprintf("d%d.example.com", d.count), Certificate: "auto"})
		d.count++
	}
	if d.form == Repository && len(s.Domains) > 0 && d.yes() {
		s.Domains[0].Certificate, s.Domains[0].Cert, s.Domains[0].Key = "inline", "-----BEGIN CERTIFICATE-----\nx\n", "-----BEGIN PRIVATE KEY-----\ny\n"
	}
	var domains []string
	for _, domain := range append(append([]Domain{}, s.Domains...), global...) {
		domains = append(domains, domain.Name)
	}
	for _, b := range d.bases("lib") {
		s.Libraries = append(s.Libraries, Library{Base: b, Code: d.code("libraries/" + b.Name), Build: d.build(".")})
	}
	for _, b := range d.bases("fun") {
		s.Functions = append(s.Functions, d.function(b, domains, s.Libraries))
	}
	for _, b := range d.bases("web") {
		d.count++
		s.Websites = append(s.Websites, Website{Base: b, Code: d.code("websites/" + b.Name), Domains: d.some(domains), Paths: []string{fmt.Sprintf("/w%d", d.count)}, SPA: d.yes()})
	}
	for _, b := range d.bases("db") {
		s.Databases = append(s.Databases, Database{Base: b, Match: b.Name + "/.*", Regex: d.yes(), Access: d.access(), Size: d.size()})
	}
	for _, b := range d.bases("sto") {
		one := Storage{Base: b, Match: b.Name, Regex: d.yes(), Access: d.access(), Size: d.size(), Type: StorageObject, Versioning: d.yes()}
		if d.yes() {
			one.Type, one.Versioning, one.TTL = StorageStreaming, false, d.duration()
		}
		s.Storages = append(s.Storages, one)
	}
	for _, b := range d.bases("msg") {
		s.Messaging = append(s.Messaging, Channel{Base: b, Match: "true", Local: d.yes(), Regex: d.yes(), MQTT: d.yes(), WebSocket: d.yes()})
	}
	for _, b := range d.bases("ser") {
		s.Services = append(s.Services, Service{Base: b, Protocol: "/" + b.Name + "/v1"})
	}
}

func (d *draw) access() string {
	return rapid.SampledFrom([]string{"all", "subnet", "host"}).Draw(d.T, "access")
}
func (d *draw) size() Size {
	return Size(rapid.OneOf(rapid.Uint64Range(1, 1<<60), rapid.SampledFrom([]uint64{64e6, 1 << 20, 32e9, 64_010_000})).Draw(d.T, "size"))
}
func (d *draw) duration() Duration { return Duration(rapid.Int64Range(1, 1<<50).Draw(d.T, "duration")) }
func (d *draw) some(list []string) []string {
	if len(list) == 0 || d.yes() {
		return nil
	}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(list), 1, len(list), rapid.ID).Draw(d.T, "some")
}

func (d *draw) code(folder string) Code {
	switch rapid.IntRange(0, 2).Draw(d.T, "code") {
	case 0:
		return Code{GithubID: "10007", GithubName: "me/x.y", Branch: "main", Path: "src"}
	case 1:
		if d.form == Mono {
			return Code{Path: folder}
		}
	}
	return Code{Repository: "ssh://git@git.example.com/x.git", Branch: "release/v2"}
}

func (d *draw) function(b Base, domains []string, libraries []Library) Function {
	f := Function{Base: b, Source: rapid.SampledFrom([]string{".", "./code/x", "."}).Draw(d.T, "source"), Timeout: d.duration(), Memory: d.size(), Call: "handle", Local: d.yes()}
	if len(libraries) > 0 && d.yes() {
		f.Source = "libraries/" + libraries[0].Name
	}
	if d.yes() {
		f.Cron, f.Concurrency = []string{"0 3 * * *", "@daily"}, 7
		f.Build = d.build(f.Source)
		f.Environment, f.Secrets = map[string]string{"A": d.text(), "B_1": "x"}, []string{"KEY"}
		f.Outbound = []string{"*.example.com", "api.example.com:8443"}
	}
	switch f.Type = rapid.SampledFrom([]string{TriggerHTTP, TriggerHTTPS, TriggerPubSub, TriggerP2P, TriggerCron}).Draw(d.T, "type"); f.Type {
	case TriggerPubSub:
		f.Channel = "yes"
	case TriggerP2P:
		f.Command, f.Protocol = "go", rapid.SampledFrom([]string{"", "/p/v1"}).Draw(d.T, "protocol")
	case TriggerCron:
		f.Cron = []string{"*/5 8-18 * JAN MON"}
	default:
		d.count++
		f.Paths = []string{fmt.Sprintf("/f%d/{id}/{rest...}", d.count), fmt.Sprintf("/f%d", d.count)}
		f.Methods = rapid.SampledFrom([][]string{{"GET"}, {"POST", "GET"}, {"DELETE"}}).Draw(d.T, "methods")
		f.Domains = d.some(domains)
	}
	return f
}

// filesOf are printed files as a file system.
func filesOf(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

// backwards is a file system that lists folders in another order.
type backwards struct{ fstest.MapFS }

func (b backwards) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := b.MapFS.ReadDir(name)
	for i, j := 0, len(entries)-1; i < j; i, j = i+1, j-1 {
		entries[i], entries[j] = entries[j], entries[i]
	}
	return entries, err
}

// withFolders adds the folders that a project says its code is in.
func withFolders(p *Project, files fstest.MapFS) fstest.MapFS {
	p.each(func(ref Ref, r resource) {
		if folder := Folder(ref, r); folder != "" {
			files[strings.TrimPrefix(folder+"/x", "./")] = &fstest.MapFile{}
		}
	})
	return files
}

// build is said in tau.yaml alone.
func (d *draw) build(source string) Build {
	switch {
	case d.form == Repository || source != ".":
		return Build{}
	case d.yes():
		return Build{Toolchain: rapid.SampledFrom(Toolchains).Draw(d.T, "toolchain")}
	}
	return Build{Steps: []string{"make", "make", "a: b\nc"}, Environment: map[string]string{"A": d.text()}, Network: d.yes(), Output: "dist"}
}
