package up

import (
	"errors"
	"net"

	"github.com/taucloud/tau/cmd/dreamland/forge"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// serve opens the ports of the universe.
func (u *Universe) serve() error {
	var err error
	if u.deliver, err = newDeliverer(u); err != nil {
		return err
	}
	if u.forge, err = forge.New(forge.Config{Dir: u.place.git(), Universe: u.place.name(), Unnamed: u.place.alone, Check: patrickapi.CheckProject, Fits: fits, Deliver: u.deliver, Log: u.log}); err != nil {
		return err
	}
	if err := u.open(); err != nil {
		return err
	}
	u.servers = append(u.servers, begin(u.at.admin, u.api()), begin(u.at.git, u.forge))
	if u.at.http != nil {
		u.front = newFront(u)
		u.servers = append(u.servers, begin(u.at.http, u.front))
	}
	return nil
}

// ports are those of a universe, open; http is nil where nothing answers.
type ports struct{ admin, git, http net.Listener }

// open opens the ports, all before anything is served, as each is told of all.
func (u *Universe) open() (err error) {
	defer func() {
		if err != nil {
			for _, l := range []net.Listener{u.at.admin, u.at.git, u.at.http} {
				if l != nil {
					err = errors.Join(err, l.Close())
				}
			}
		}
	}()
	planned := u.plan.ports()
	if u.at.admin, err = u.listen(&u.plan.Admin, u.wishes.admin, "admin-port"); err != nil {
		return err
	}
	if u.at.git, err = u.listen(&u.plan.Git, u.wishes.git, "git-port"); err != nil {
		return err
	}
	if u.http() != "" {
		if u.at.http, err = u.listen(&u.plan.HTTP, u.wishes.http, "http-port"); err != nil {
			return err
		}
	}
	if planned == u.plan.ports() {
		return nil // what has been written already
	}
	return writeJSON(u.place.plan(), u.plan)
}
