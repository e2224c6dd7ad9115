package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ocid/fixtures/images"
	"ocid/fixtures/registry"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// An Environment is what many runs can share: a registry with the test images.
// Its JSON form is what criconform env writes and --env reads.
type Environment struct {
	Registry string                `json:"registry"` // host:port, plain HTTP
	Images   map[string]images.Ref `json:"images"`   // by name; see package fixtures/images
}

// StartEnvironment starts a registry that keeps its files in dir and pushes the
// test images, or those given. It runs until stop is called.
func StartEnvironment(ctx context.Context, dir string, imgs ...images.Image) (env *Environment, stop func() error, err error) {
	r, err := registry.Start(context.WithoutCancel(ctx), dir)
	if err != nil {
		return nil, nil, err
	}
	refs, err := images.Push(ctx, r.Addr(), imgs...)
	if err != nil {
		return nil, nil, errors.Join(err, r.Stop())
	}
	return &Environment{Registry: r.Addr(), Images: refs}, r.Stop, nil
}

// LoadEnvironment reads the JSON form.
func LoadEnvironment(path string) (*Environment, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load environment: %w", err)
	}
	var env Environment
	if err := json.Unmarshal(data, &env); err != nil {
		return nil, fmt.Errorf("load environment %s: %w", path, err)
	}
	if env.Registry == "" || len(env.Images) == 0 {
		return nil, fmt.Errorf("load environment %s: it names no registry or no image", path)
	}
	return &env, nil
}

// Save writes the JSON form, whole or not at all.
func (e *Environment) Save(path string) error {
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("save environment: %w", err)
	}
	if err := replace(path, append(data, '\n')); err != nil {
		return fmt.Errorf("save environment: %w", err)
	}
	return nil
}

// startEnvironment finds or starts the registry and puts the proxy before it.
func (t *T) startEnvironment(ctx context.Context) error {
	t.env = t.cfg.Environment
	if t.env == nil {
		// Not below WORK, whose name tells the daemon's processes.
		dir, err := os.MkdirTemp("/tmp", "criconform-registry")
		if err != nil {
			return err
		}
		env, stop, err := StartEnvironment(ctx, dir)
		if err != nil {
			return errors.Join(err, os.RemoveAll(dir))
		}
		t.env = env
		t.stopEnv = func() error { return errors.Join(stop(), os.RemoveAll(dir)) }
	}
	proxy, err := registry.NewProxy(t.env.Registry)
	if err != nil {
		return err
	}
	t.Registry = proxy
	t.vars["REGISTRY"] = proxy.Addr()
	t.refs = map[string]images.Ref{}
	for name, ref := range t.env.Images {
		t.refs[name] = relocate(ref, t.env.Registry, proxy.Addr())
	}
	return nil
}

// relocate names the image by another address of its registry.
func relocate(ref images.Ref, from, to string) images.Ref {
	move := func(s string) string { return to + strings.TrimPrefix(s, from) }
	ref.Tagged, ref.ByDigest = move(ref.Tagged), move(ref.ByDigest)
	tags := make([]string, 0, len(ref.Tags))
	for _, tag := range ref.Tags {
		tags = append(tags, move(tag))
	}
	ref.Tags = tags
	return ref
}

// Ref returns how a test image is named; the daemon need not have it. Names are
// those of package fixtures/images.
func (t *T) Ref(name string) images.Ref {
	ref, ok := t.refs[name]
	if !ok {
		must(fmt.Errorf("no test image %q in the registry", name))
	}
	return ref
}

// Image pulls a test image by its tag and removes it at the end of the case. It
// returns the reference pulled. The default image is there already and stays.
func (t *T) Image(ctx context.Context, name string) (string, error) {
	ref := t.Ref(name)
	if ref.Tagged == t.busybox {
		return t.busybox, nil
	}
	t.Cleanup("image "+name, func(ctx context.Context) error {
		_, err := t.Images.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: ref.Tagged}})
		return err
	})
	return ref.Tagged, t.pull(ctx, ref.Tagged)
}

// DefaultImage returns the reference of the image that containers run unless
// told otherwise; it is always pulled.
func (t *T) DefaultImage() string { return t.busybox }

func (t *T) pull(ctx context.Context, ref string) error {
	resp, err := t.Images.PullImage(ctx, &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: ref}})
	if err != nil {
		return fmt.Errorf("pull %s: %w", ref, err)
	}
	if resp.GetImageRef() == "" {
		return fmt.Errorf("pull %s: the answer has no image reference", ref)
	}
	return nil
}

func (t *T) pullDefault(ctx context.Context) error {
	t.busybox = t.Ref(images.Busybox).Tagged
	return t.pull(ctx, t.busybox)
}

func (t *T) makeObserver(context.Context) error {
	vars, o := t.effective(), t.cfg.Profile.Observe
	fields := []*[]string{&o.Files, &o.Ignore, &o.Volatile, &o.Netns, &o.Mounts, &o.Storage, &o.Leases, &o.Bridges, &o.IPTables}
	for _, f := range fields {
		texts, err := vars.expandAll(*f)
		if err != nil {
			return fmt.Errorf("observe: %w", err)
		}
		*f = texts
	}
	o.Files = append(o.Files, filepath.Join(t.work, "logs"))
	observer, err := NewObserver(t.work, o, t.vars["CGROUP"])
	t.observer = observer
	return err
}
