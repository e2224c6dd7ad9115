// Command critest runs Kubernetes' critest against ocid, as "make critest". It
// builds critest from its Go module, makes stand-ins for the images that
// critest pulls, serves them from a registry on the loopback interface, and
// compares what comes out with what expect.toml says.
//
// One thing of critest is not as its authors wrote it: the digest of one image
// is a constant, and no stand-in can have that digest. critest is built with
// the stand-in's digest in its place. The program says so in its output.
package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"ocid/tools/rig"
)

// options are what the command line says.
type options struct {
	rig.Programs // programs that are built, and a cache, go to their directory
	modes        string
	focus        string
	repeat       int
	keep         bool
}

func main() {
	var o options
	flag.StringVar(&o.modes, "modes", "", "only these, comma-separated: "+strings.Join(modeNames(), ", "))
	flag.StringVar(&o.focus, "focus", "", "only specs whose name matches this regular expression")
	flag.IntVar(&o.repeat, "repeat", 1, "how often each mode is run")
	flag.BoolVar(&o.keep, "keep", false, "leave the work directories")
	rig.Main("critest", func(ctx context.Context, p rig.Programs) error {
		o.Programs = p
		return run(ctx, o)
	})
}

func run(ctx context.Context, o options) error {
	modes, err := chosen(o.modes)
	if err != nil {
		return err
	}
	host, err := lookAtHost(ctx, o.Runtime)
	if err != nil {
		return err
	}
	expected, err := expectation(host)
	if err != nil {
		return err
	}
	lab, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer lab.close()
	fmt.Printf("runtime: %s\ncritest: built with the digest %s for %s, because the real one can't be reproduced\n\n",
		host.version, lab.digest, "test-image-digest")
	return lab.runAll(ctx, modes, expected)
}
