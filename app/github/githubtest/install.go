package githubtest

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// owned returns the repositories of an account that its installation reaches.
func (s *Server) owned(i *installation) []object {
	list := []object{}
	for _, id := range slices.Sorted(maps.Keys(s.state.byID)) {
		if r := s.state.byID[id]; i.covers(r) {
			list = append(list, repoShort(r))
		}
	}
	return list
}

// installed returns the installation that an act needs.
func (s *Server) installed(org string) (*installation, error) {
	if a := s.state.accounts[strings.ToLower(org)]; a != nil && a.install != nil {
		return a.install, nil
	}
	return nil, fmt.Errorf("the App is not installed on %s", org)
}

// Install installs the App on an organisation for all repositories, and returns the
// number of the installation: the old one if there is one, which is told of again.
func (s *Server) Install(org string) (installation int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.state.account(org, "Organization")
	if a.install == nil {
		s.state.install(a)
	}
	s.emitInstallation(a.install, "installation", "created", object{"repositories": s.owned(a.install), "requester": nil})
	return a.install.id
}

// Uninstall takes the App off an organisation. Its tokens stop working.
func (s *Server) Uninstall(org string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.installed(org)
	if err != nil {
		return err
	}
	s.emitInstallation(i, "installation", "deleted", object{"repositories": s.owned(i)})
	i.owner.install = nil
	delete(s.state.installs, i.id)
	return nil
}

// Suspend suspends an installation, or ends that.
func (s *Server) Suspend(org string, suspended bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.installed(org)
	if err != nil {
		return err
	}
	action := "unsuspend"
	if i.suspended = nil; suspended {
		at := now()
		i.suspended, action = &at, "suspend"
	}
	s.emitInstallation(i, "installation", action, object{})
	return nil
}

// AddToInstallation adds repositories to those that the App was installed for.
func (s *Server) AddToInstallation(org string, repos ...string) error {
	return s.choose(org, "added", repos)
}

// RemoveFromInstallation takes repositories from the App. From then on it has only those
// that it had and has not lost.
func (s *Server) RemoveFromInstallation(org string, repos ...string) error {
	return s.choose(org, "removed", repos)
}

func (s *Server) choose(org, action string, repos []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.installed(org)
	if err != nil {
		return err
	}
	chosen := map[int64]bool{}
	for _, r := range s.state.byID {
		if i.covers(r) {
			chosen[r.id] = true
		}
	}
	changed := []object{}
	for _, name := range repos {
		r, err := s.state.find(org, name[strings.Index(name, "/")+1:])
		if err != nil {
			return err
		}
		if delete(chosen, r.id); action == "added" {
			chosen[r.id] = true
		}
		changed = append(changed, repoShort(r))
	}
	if action == "removed" || i.chosen != nil {
		i.chosen = chosen
	}
	payload := object{"repositories_added": []object{}, "repositories_removed": []object{}, "requester": nil,
		"repository_selection": s.installationJSON(i)["repository_selection"]}
	payload["repositories_"+action] = changed
	s.emitInstallation(i, "installation_repositories", action, payload)
	return nil
}

// changeRepo changes a repository and sends a webhook of it.
func (s *Server) changeRepo(owner, name, action string, change func(*repo) (object, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.state.find(owner, name)
	if err != nil {
		return err
	}
	payload, err := change(r)
	if err != nil {
		return err
	}
	if payload == nil {
		payload = object{}
	}
	s.emit(r, "repository", action, s.state.sender(""), payload)
	return nil
}

// Publicize makes a repository public.
func (s *Server) Publicize(owner, name string) error {
	return s.changeRepo(owner, name, "publicized", func(r *repo) (object, error) { r.public = true; return nil, nil })
}

// Privatize makes a repository private.
func (s *Server) Privatize(owner, name string) error {
	return s.changeRepo(owner, name, "privatized", func(r *repo) (object, error) { r.public = false; return nil, nil })
}

// Archive makes a repository read-only.
func (s *Server) Archive(owner, name string) error {
	return s.changeRepo(owner, name, "archived", func(r *repo) (object, error) { r.archived = true; return nil, nil })
}

// Rename gives a repository a new name. The old one leads to it until another repository
// takes it.
func (s *Server) Rename(owner, name, to string) error {
	return s.changeRepo(owner, name, "renamed", func(r *repo) (object, error) {
		return object{"changes": object{"repository": object{"name": object{"from": r.name}}}}, s.move(r, r.owner, to)
	})
}

// Transfer gives a repository to another account. The App under test hears of it if it
// is installed there.
func (s *Server) Transfer(owner, name, to string) error {
	return s.changeRepo(owner, name, "transferred", func(r *repo) (object, error) {
		heir := s.state.accounts[strings.ToLower(to)]
		if heir == nil {
			return nil, fmt.Errorf("no account %s", to)
		}
		from := object{strings.ToLower(r.owner.kind): s.accountJSON(r.owner)}
		return object{"changes": object{"owner": object{"from": from}}}, s.move(r, heir, r.name)
	})
}

// move puts a repository under another name. Its files stay where they are.
func (s *Server) move(r *repo, owner *account, name string) error {
	if !repoName.MatchString(name) {
		return fmt.Errorf("%q is no name for a repository", name)
	}
	if other := s.state.repo(owner.login, name); other != nil && other != r {
		return fmt.Errorf("repository %s exists already", other.full())
	}
	delete(s.state.repos, strings.ToLower(r.full()))
	s.state.moved[strings.ToLower(r.full())] = r.id
	r.owner, r.name = owner, name
	s.state.repos[strings.ToLower(r.full())] = r
	delete(s.state.moved, strings.ToLower(r.full()))
	return nil
}

// DeleteRepo deletes a repository with all that is in it.
func (s *Server) DeleteRepo(owner, name string) error {
	return s.changeRepo(owner, name, "deleted", func(r *repo) (object, error) {
		delete(s.state.repos, strings.ToLower(r.full()))
		delete(s.state.byID, r.id)
		return nil, os.RemoveAll(r.dir)
	})
}
