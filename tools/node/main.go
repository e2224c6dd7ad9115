// Command node runs a real kubelet on ocid, without an API server, as "make
// kubelet-test": a static pod with probes has to run, its logs, commands and
// numbers have to come through kubelet's own API, and it has to go when its
// manifest goes.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"ocid/conformance/target"
	"ocid/fixtures/images"
	"ocid/tools/rig"
)

func main() { rig.Main("node", run) }

func run(ctx context.Context, p rig.Programs) (err error) {
	t, err := rig.Start(ctx, rig.Options{Daemon: p.Daemon(), Runtime: p.Runtime})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Stop(context.WithoutCancel(ctx))) }()
	k, err := newKubelet(t, p.Bin)
	if err != nil {
		return err
	}
	err = k.run(ctx, func() error { return k.checks(ctx, t) })
	if err != nil {
		return errors.Join(err, fmt.Errorf("logs: %s, %s", k.log, k.log+".ocid"), rig.KeepLog(t, k.log+".ocid"))
	}
	return nil
}

const checkBound = 2 * time.Minute

// checks prints what came of each check, and stops at the first that fails:
// each needs those before it.
func (k *kubelet) checks(ctx context.Context, t *target.T) error {
	image := t.Ref(images.Web).Tagged
	for _, c := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"kubelet is healthy", func(ctx context.Context) error { return k.says(ctx, "GET", "/healthz", "^ok$") }},
		{"a static pod runs", func(ctx context.Context) error {
			if err := os.WriteFile(k.manifest(), manifest(image), 0o600); err != nil {
				return err
			}
			return k.says(ctx, "GET", "/pods", `"phase":"Running"`)
		}},
		{"its probes pass", func(ctx context.Context) error {
			return k.says(ctx, "GET", "/pods", `"type":"Ready"[^}]*"status":"True"`, `"started":true`)
		}},
		{"its logs can be read", func(ctx context.Context) error {
			return k.says(ctx, "GET", "/containerLogs/default/web-node/web", "(?m)^begins$")
		}},
		{"a command can be run", func(ctx context.Context) error {
			return k.says(ctx, "POST", "/run/default/web-node/web?cmd=cat%20/var/www/index.html", images.WebPage)
		}},
		{"there are numbers", func(ctx context.Context) error {
			return k.says(ctx, "GET", "/stats/summary", `"name": ?"web-node"`, `"usageCoreNanoSeconds": ?[1-9]`, `"workingSetBytes": ?[1-9]`)
		}},
		{"the pod goes with its manifest", func(ctx context.Context) error {
			if err := os.Remove(k.manifest()); err != nil {
				return err
			}
			return eventually(ctx, func() error { return gone(ctx, t) })
		}},
	} {
		begun := time.Now()
		ctx, cancel := context.WithTimeout(ctx, checkBound)
		err := c.do(ctx)
		cancel()
		verdict := "ok"
		if err != nil {
			verdict = "FAILED"
		}
		fmt.Printf("%-34s %5.1f s  %s\n", c.what, time.Since(begun).Seconds(), verdict)
		if err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
	}
	return nil
}
