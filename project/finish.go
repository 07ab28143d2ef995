package project

import (
	"cmp"
	"strings"
)

// What depends on several fields of one resource, when it has been read.

func finishDomain(d *decoder, o *origin, r resource) {
	domain := r.(*Domain)
	if domain.Certificate != "inline" {
		return
	}
	if domain.Cert == "" || domain.Key == "" {
		d.fail(o.file, o.place("certificate", 0), "write certificate: auto, or add them", "an inline certificate has cert and key")
		return
	}
	d.warn(o.file, o.place("certificate", 0), "write certificate: auto: the cloud gets one itself", "the key of %s is in Git for all to read; it is not published", domain.FQDN)
}

func finishFunction(d *decoder, o *origin, r resource) {
	f := r.(*Function)
	f.Call = cmp.Or(f.Call, f.Name)
	triggers := map[string]bool{"paths": len(f.Paths) > 0, "channel": f.Channel != "", "command": f.Command != ""}
	if f.Type == "" {
		f.Type = triggerOf(f)
		if f.Type == "" {
			d.fail(o.file, o.name, "say when it runs: paths: [/"+strings.ToLower(f.Name)+"], channel, command or cron", "function %s: nothing makes it run", f.Name)
			return
		}
	}
	needs := map[string]string{TriggerHTTP: "paths", TriggerHTTPS: "paths", TriggerPubSub: "channel", TriggerP2P: "command"}[f.Type]
	if needs != "" && !triggers[needs] {
		d.fail(o.file, o.name, "write "+o.table.field(needs).path(o.form)+": "+o.table.field(needs).example, "function %s: %s is missing, as its type is %s", f.Name, o.table.field(needs).path(o.form), f.Type)
	}
	if f.Type == TriggerCron && len(f.Cron) == 0 {
		d.fail(o.file, o.name, `write `+o.table.field("cron").path(o.form)+`: ["0 3 * * *"]`, "function %s: its moments are missing, as its type is cron", f.Name)
	}
	for _, other := range []string{"paths", "channel", "command"} {
		if triggers[other] && other != needs {
			d.warn(o.file, o.place(other, -1), "remove it, or make a function of its own of it", "function %s is of type %s: %s has no effect", f.Name, f.Type, o.table.field(other).path(o.form))
		}
	}
	if f.HTTP() && len(f.Methods) == 0 {
		f.Methods = []string{"GET"}
	}
	finishEnvironment(d, o, f)
	finishBuild(d, o, f.Build)
	if strings.HasPrefix(f.Source, "libraries/") && !f.Build.IsZero() {
		d.fail(o.file, o.place(firstOf(f.Build), 0), "say it of the library", "function %s: its code is a library, which says itself how it is built", f.Name)
	}
}

// firstOf is the first field that says something of a build.
func firstOf(b Build) string {
	switch {
	case b.Toolchain != "":
		return "build.toolchain"
	case len(b.Steps) > 0:
		return "build.steps"
	case len(b.Environment) > 0:
		return "build.environment"
	case b.Network:
		return "build.network"
	}
	return "build.output"
}

// finishBuild sees whether a build is one.
func finishBuild(d *decoder, o *origin, b Build) {
	rest := b
	rest.Toolchain = ""
	switch {
	case len(b.Steps) > stepsMax:
		d.fail(o.file, o.place("build.steps", stepsMax), "call several from one", "build.steps: more than %d steps", stepsMax)
	case b.Toolchain != "" && !rest.IsZero():
		d.fail(o.file, o.place(firstOf(rest), -1), "remove build.toolchain, and call the compiler in a step", "%s: the steps of a toolchain are its own, so keep one of them", firstOf(rest))
	case len(b.Steps) == 0 && !rest.IsZero():
		d.fail(o.file, o.place(firstOf(rest), -1), "write build.steps: [make], or remove it", "%s: there are no steps that it could be for", firstOf(rest))
	}
	for _, name := range []string{"SRC", "OUT"} {
		if _, own := b.Environment[name]; own {
			d.fail(o.file, o.place("build.environment", -1), "rename it", "build.environment: %s is the build's own", name)
		}
	}
}

// HTTP reports whether requests make the function run.
func (f *Function) HTTP() bool { return f.Type == TriggerHTTP || f.Type == TriggerHTTPS }

// triggerOf is the type of a function that does not say it.
func triggerOf(f *Function) string {
	switch {
	case len(f.Paths) > 0:
		return TriggerHTTPS
	case f.Channel != "":
		return TriggerPubSub
	case f.Command != "":
		return TriggerP2P
	case len(f.Cron) > 0:
		return TriggerCron
	}
	return ""
}

func finishEnvironment(d *decoder, o *origin, f *Function) {
	for i, secret := range f.Secrets {
		if _, both := f.Environment[secret]; both {
			d.fail(o.file, o.place("secrets", i), "rename one of them", "%s is a secret and an environment variable", secret)
		}
	}
}

func finishWebsite(d *decoder, o *origin, r resource) {
	w := r.(*Website)
	finishBuild(d, o, w.Build)
	finishCode(d, o, &w.Code, "websites/"+w.Name)
}

func finishLibrary(d *decoder, o *origin, r resource) {
	l := r.(*Library)
	finishBuild(d, o, l.Build)
	finishCode(d, o, &l.Code, "libraries/"+l.Name)
}

// finishCode says where the code is if nobody did.
func finishCode(d *decoder, o *origin, c *Code, folder string) {
	switch {
	case c.Repository != "" && (c.GithubID != "" || c.GithubName != ""):
		d.fail(o.file, o.place("repository", 0), "keep one of them", "%s: its repository is given twice, as repository and as github", o.table.one)
	case (c.GithubID == "") != (c.GithubName == ""):
		d.fail(o.file, o.name, `write github: {id: "111111111", fullname: me/site}`, "%s: a repository at GitHub has an id and a fullname", o.table.one)
	case c.Here() && o.form == Repository:
		d.fail(o.file, o.name, "write source: {repository: https://git.example.com/me/site.git}, or github", "%s: the repository of its code is missing", o.table.one)
	case c.Here() && c.Branch != "":
		d.fail(o.file, o.place("branch", 0), "remove it, or name a repository", "branch: the code is in this repository, in the branch that was pushed")
	case c.Here() && c.Path == "":
		c.Path = folder
	}
}

func finishDatabase(d *decoder, o *origin, r resource) {
	b := r.(*Database)
	b.Match = cmp.Or(b.Match, b.Name)
	checkMatch(d, o, b.Match, b.Regex)
	if b.Encryption != "" || b.EncryptionKey != "" {
		d.warn(o.file, o.place("size", 0), "remove encryption", "database %s is not encrypted: there is no encryption of databases yet", b.Name)
	}
}

func finishStorage(d *decoder, o *origin, r resource) {
	s := r.(*Storage)
	s.Match = cmp.Or(s.Match, s.Name)
	checkMatch(d, o, s.Match, s.Regex)
	if o.form == Repository {
		object, streaming := o.value.Get(StorageObject), o.value.Get(StorageStreaming)
		s.Type = StorageObject
		switch {
		case object != nil && streaming != nil:
			d.fail(o.file, streaming, "keep one of them", "a storage is of objects or streaming, not both")
		case streaming != nil:
			s.Type = StorageStreaming
		}
	}
	if s.Type == StorageStreaming && s.TTL == 0 {
		d.fail(o.file, o.name, "write "+o.table.field("ttl").path(o.form)+": 5m", "storage %s: %s is missing, as it is streaming", s.Name, o.table.field("ttl").path(o.form))
	}
	if s.Type == StorageStreaming && s.Versioning || s.Type == StorageObject && s.TTL > 0 {
		d.fail(o.file, o.name, "versioning is of objects, ttl of streams", "storage %s is of type %s", s.Name, s.Type)
	}
}

func finishChannel(d *decoder, o *origin, r resource) {
	c := r.(*Channel)
	c.Match = cmp.Or(c.Match, c.Name)
	checkMatch(d, o, c.Match, c.Regex)
}
