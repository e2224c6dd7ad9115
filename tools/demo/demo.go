package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"ocid/fixtures/images"
	"ocid/fixtures/registry"
)

// A demo is what the steps know of each other.
type demo struct {
	*script
	dir       string // everything of this run is below it
	registry  *registry.Registry
	daemon    *daemon
	image     string
	pod       string
	podIP     string
	container string
	before    world
}

func (d *demo) path(elem ...string) string {
	return filepath.Join(append([]string{d.dir}, elem...)...)
}

func (d *demo) prepare(context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can run containers")
	}
	var err error
	if d.before, err = look(); err != nil {
		return err
	}
	if d.dir, err = os.MkdirTemp("", "ocid-demo-"); err != nil {
		return err
	}
	d.later("look for anything left behind", func(ctx context.Context) error { return d.audit(ctx) })
	d.later("remove the work directory", func(context.Context) error { return os.RemoveAll(d.dir) })
	d.show(d.dir)
	return os.Mkdir(d.path("registry"), 0o700)
}

func (d *demo) startRegistry(context.Context) (err error) {
	// Not bound to the demonstration's context: Ctrl-C must not take the
	// registry away before the daemon has stopped.
	d.registry, err = registry.Start(context.Background(), d.path("registry"))
	if err != nil {
		return err
	}
	d.later("stop the registry", func(context.Context) error { return d.registry.Stop() })
	d.show(d.registry.Addr())
	return nil
}

func (d *demo) pushImage(ctx context.Context) error {
	all, err := images.All()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(img images.Image) bool { return img.Name == images.Web })
	if i < 0 {
		return fmt.Errorf("there is no image %s", images.Web)
	}
	refs, err := images.Push(ctx, d.registry.Addr(), all[i])
	if err != nil {
		return err
	}
	d.image = refs[images.Web].Tagged
	d.show(d.image)
	return nil
}
