package oci

import (
	"path"
	"slices"
	"strings"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	defaultTerm = "xterm"
)

// containerProcess gives the first process of a container.
func containerProcess(in ContainerInput) (*specs.Process, error) {
	if err := checkTexts(in.Config); err != nil {
		return nil, err
	}
	if err := checkDevices(in.Config); err != nil {
		return nil, err
	}
	args, err := CommandLine(in.Config, in.Image)
	if err != nil {
		return nil, err
	}
	sc := in.Config.GetLinux().GetSecurityContext()
	caps, err := capabilities(sc.GetCapabilities(), in.Privileged, in.Host)
	if err != nil {
		return nil, err
	}
	p := &specs.Process{
		Terminal:        in.Config.GetTty(),
		User:            in.User.oci(),
		Args:            args,
		Env:             containerEnv(in),
		Cwd:             workingDir(in.Config, in.Image),
		Capabilities:    caps,
		Rlimits:         slices.Clone(in.Host.Rlimits),
		NoNewPrivileges: sc.GetNoNewPrivs(),
		OOMScoreAdj:     oomScoreAdj(int(in.Config.GetLinux().GetResources().GetOomScoreAdj()), in.Host),
	}
	if in.Privileged {
		return p, nil
	}
	p.ApparmorProfile, err = apparmorProfile(sc, in.Host)
	return p, err
}

// CommandLine joins command and args of the configuration with entrypoint and
// cmd of the image, as Kubernetes defines it: command replaces both of the
// image's, args alone replaces cmd.
func CommandLine(config *runtimeapi.ContainerConfig, image *imgspecv1.Image) ([]string, error) {
	command, args := config.GetCommand(), config.GetArgs()
	if len(command) == 0 && image != nil {
		command = image.Config.Entrypoint
		if len(args) == 0 {
			args = image.Config.Cmd
		}
	}
	line := slices.Concat(command, args)
	if len(line) == 0 {
		return nil, invalid("config.command", "is empty, as are config.args and the image's entrypoint and cmd")
	}
	return line, nil
}

// workingDir is the configuration's, else the image's, else the root.
func workingDir(config *runtimeapi.ContainerConfig, image *imgspecv1.Image) string {
	dir := config.GetWorkingDir()
	if dir == "" && image != nil {
		dir = image.Config.WorkingDir
	}
	return path.Join("/", dir)
}

// containerEnv gives the environment; what comes later wins: defaults, the
// image, HOSTNAME, the configuration.
func containerEnv(in ContainerInput) []string {
	env := environment{"PATH=" + defaultPath}
	if in.Config.GetTty() {
		env = env.set("TERM", defaultTerm)
	}
	if in.Image != nil {
		for _, e := range in.Image.Config.Env {
			if key, value, ok := strings.Cut(e, "="); ok && key != "" {
				env = env.set(key, value)
			}
		}
	}
	if in.Hostname != "" {
		env = env.set("HOSTNAME", in.Hostname)
	}
	for _, e := range in.Config.GetEnvs() {
		env = env.set(e.GetKey(), string(e.GetValue()))
	}
	return env
}

// environment is an ordered list of KEY=value with each key once.
type environment []string

// set adds the key or changes its value where it stands.
func (e environment) set(key, value string) environment {
	entry := key + "=" + value
	if i := e.index(key); i >= 0 {
		e[i] = entry
		return e
	}
	return append(e, entry)
}

// index says where the key stands; -1 for nowhere.
func (e environment) index(key string) int {
	return slices.IndexFunc(e, func(s string) bool { return strings.HasPrefix(s, key+"=") })
}

// ExecProcess gives a further process for a container: all is as in the
// container's first process (user, environment, directory, capabilities,
// profile, OOM score), but for the command and the terminal. The result shares
// nothing with the configuration.
func ExecProcess(spec *specs.Spec, cmd []string, tty bool) specs.Process {
	p := specs.Process{}
	if spec.Process != nil {
		p = *spec.Process
	}
	p.Args = slices.Clone(cmd)
	p.Terminal = tty
	p.ConsoleSize = nil
	p.CommandLine = ""
	p.Env = slices.Clone(p.Env)
	if env := environment(p.Env); tty && env.index("TERM") < 0 {
		p.Env = env.set("TERM", defaultTerm)
	}
	p.User.AdditionalGids = slices.Clone(p.User.AdditionalGids)
	p.Rlimits = slices.Clone(p.Rlimits)
	if c := p.Capabilities; c != nil {
		p.Capabilities = &specs.LinuxCapabilities{
			Bounding: slices.Clone(c.Bounding), Effective: slices.Clone(c.Effective), Permitted: slices.Clone(c.Permitted),
			Inheritable: slices.Clone(c.Inheritable), Ambient: slices.Clone(c.Ambient),
		}
	}
	if p.OOMScoreAdj != nil {
		adj := *p.OOMScoreAdj
		p.OOMScoreAdj = &adj
	}
	return p
}
