package target

import (
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A PodOption changes the request of RunPodSandbox.
type PodOption func(*runtimeapi.RunPodSandboxRequest)

// WithPod changes the sandbox configuration in any way.
func WithPod(change func(*runtimeapi.PodSandboxConfig)) PodOption {
	return func(r *runtimeapi.RunPodSandboxRequest) { change(r.GetConfig()) }
}

func podNamespaces(change func(*runtimeapi.NamespaceOption)) PodOption {
	return WithPod(func(c *runtimeapi.PodSandboxConfig) { change(c.GetLinux().GetSecurityContext().GetNamespaceOptions()) })
}

// HostNetwork puts the pod into the host's network namespace. As kubelet does,
// it leaves the hostname empty.
func HostNetwork() PodOption {
	return func(r *runtimeapi.RunPodSandboxRequest) {
		r.GetConfig().Hostname = ""
		r.GetConfig().GetLinux().GetSecurityContext().GetNamespaceOptions().Network = runtimeapi.NamespaceMode_NODE
	}
}

// HostPID puts the pod into the host's PID namespace.
func HostPID() PodOption {
	return podNamespaces(func(n *runtimeapi.NamespaceOption) { n.Pid = runtimeapi.NamespaceMode_NODE })
}

// HostIPC puts the pod into the host's IPC namespace.
func HostIPC() PodOption {
	return podNamespaces(func(n *runtimeapi.NamespaceOption) { n.Ipc = runtimeapi.NamespaceMode_NODE })
}

// SharedPID gives all containers of the pod one PID namespace.
func SharedPID() PodOption {
	return podNamespaces(func(n *runtimeapi.NamespaceOption) { n.Pid = runtimeapi.NamespaceMode_POD })
}

// UserNamespace gives the pod a user namespace of its own, in which the users and
// groups from 0 on, size of them, are the host's from host on.
func UserNamespace(host, size uint32) PodOption {
	return podNamespaces(func(n *runtimeapi.NamespaceOption) {
		ids := func() []*runtimeapi.IDMapping { return []*runtimeapi.IDMapping{{HostId: host, Length: size}} }
		n.UsernsOptions = &runtimeapi.UserNamespace{Mode: runtimeapi.NamespaceMode_POD, Uids: ids(), Gids: ids()}
	})
}

// Privileged sets the sandbox's privileged flag.
func Privileged() PodOption {
	return WithPod(func(c *runtimeapi.PodSandboxConfig) { c.GetLinux().GetSecurityContext().Privileged = true })
}

// Handler chooses a runtime handler by name.
func Handler(name string) PodOption {
	return func(r *runtimeapi.RunPodSandboxRequest) { r.RuntimeHandler = name }
}

// PodName sets the name in the sandbox's metadata.
func PodName(name string) PodOption {
	return WithPod(func(c *runtimeapi.PodSandboxConfig) { c.GetMetadata().Name = name })
}

// Labels adds labels to the sandbox.
func Labels(labels map[string]string) PodOption {
	return WithPod(func(c *runtimeapi.PodSandboxConfig) { c.Labels = merged(c.GetLabels(), labels) })
}

// Annotations adds annotations to the sandbox.
func Annotations(annotations map[string]string) PodOption {
	return WithPod(func(c *runtimeapi.PodSandboxConfig) { c.Annotations = merged(c.GetAnnotations(), annotations) })
}

// HostPort maps a TCP port of the host to one of the pod.
func HostPort(host, pod int32) PodOption {
	return WithPod(func(c *runtimeapi.PodSandboxConfig) {
		c.PortMappings = append(c.PortMappings, &runtimeapi.PortMapping{
			Protocol: runtimeapi.Protocol_TCP, HostPort: host, ContainerPort: pod,
		})
	})
}

// A ContainerOption changes the request of CreateContainer.
type ContainerOption func(*runtimeapi.CreateContainerRequest)

// WithContainer changes the container configuration in any way.
func WithContainer(change func(*runtimeapi.ContainerConfig)) ContainerOption {
	return func(r *runtimeapi.CreateContainerRequest) { change(r.GetConfig()) }
}

// Command replaces the container's command; its arguments go.
func Command(command ...string) ContainerOption {
	return WithContainer(func(c *runtimeapi.ContainerConfig) { c.Command, c.Args = command, nil })
}

// Shell runs a script by the image's /bin/sh.
func Shell(script string) ContainerOption { return Command("/bin/sh", "-c", script) }

// Image runs another image; ref has to be pulled, see [T.Image].
func Image(ref string) ContainerOption {
	return WithContainer(func(c *runtimeapi.ContainerConfig) {
		c.Image = &runtimeapi.ImageSpec{Image: ref, UserSpecifiedImage: ref}
	})
}

// ContainerName sets the name in the container's metadata.
func ContainerName(name string) ContainerOption {
	return WithContainer(func(c *runtimeapi.ContainerConfig) { c.GetMetadata().Name = name })
}

// PrivilegedContainer sets the container's privileged flag.
func PrivilegedContainer() ContainerOption {
	return WithContainer(func(c *runtimeapi.ContainerConfig) { c.GetLinux().GetSecurityContext().Privileged = true })
}

// Env adds an environment variable.
func Env(key, value string) ContainerOption {
	return WithContainer(func(c *runtimeapi.ContainerConfig) {
		c.Envs = append(c.Envs, &runtimeapi.KeyValue{Key: key, Value: []byte(value)})
	})
}

// Mount adds a bind mount of a host path.
func Mount(host, container string, readonly bool) ContainerOption {
	return WithContainer(func(c *runtimeapi.ContainerConfig) {
		c.Mounts = append(c.Mounts, &runtimeapi.Mount{HostPath: host, ContainerPath: container, Readonly: readonly})
	})
}

// ContainerLabels adds labels to the container.
func ContainerLabels(labels map[string]string) ContainerOption {
	return WithContainer(func(c *runtimeapi.ContainerConfig) { c.Labels = merged(c.GetLabels(), labels) })
}

// ContainerAnnotations adds annotations to the container.
func ContainerAnnotations(annotations map[string]string) ContainerOption {
	return WithContainer(func(c *runtimeapi.ContainerConfig) { c.Annotations = merged(c.GetAnnotations(), annotations) })
}

func merged(a, b map[string]string) map[string]string { return Variables(a).with(b) }
