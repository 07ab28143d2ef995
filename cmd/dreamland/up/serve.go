package up

import (
	"github.com/taucloud/tau/cmd/dreamland/forge"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// serve opens the ports of the universe.
func (u *Universe) serve() error {
	var err error
	if u.deliver, err = newDeliverer(u); err != nil {
		return err
	}
	if u.forge, err = forge.New(forge.Config{Dir: u.place.git(), Universe: u.place.name(), Unnamed: u.place.alone, Check: patrickapi.CheckProject, Deliver: u.deliver, Log: u.log}); err != nil {
		return err
	}
	admin, err := u.listen(u.plan.Admin, "admin-port")
	if err != nil {
		return err
	}
	u.servers = append(u.servers, begin(admin, u.api()))
	git, err := u.listen(u.plan.Git, "git-port")
	if err != nil {
		return err
	}
	u.servers = append(u.servers, begin(git, u.forge))
	if u.http() == "" {
		return nil
	}
	http, err := u.listen(u.plan.HTTP, "http-port")
	if err != nil {
		return err
	}
	u.front = newFront(u)
	u.servers = append(u.servers, begin(http, u.front))
	return nil
}
