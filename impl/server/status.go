package server

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/config"
	"ocid/impl/version"
)

// apiVersion is the version of the CRI, runtime.v1, as a semantic version, and
// kubeletAPI the one of the message itself.
const (
	kubeletAPI = "0.1.0"
	apiVersion = "1.0.0"
)

// Version names the daemon.
func (s *Server) Version(context.Context, *runtimeapi.VersionRequest) (*runtimeapi.VersionResponse, error) {
	return &runtimeapi.VersionResponse{
		Version: kubeletAPI, RuntimeName: "ocid", RuntimeVersion: version.String(), RuntimeApiVersion: apiVersion,
	}, nil
}

// Status tells whether pods can run, and on what.
func (s *Server) Status(_ context.Context, req *runtimeapi.StatusRequest) (*runtimeapi.StatusResponse, error) {
	ready := &runtimeapi.RuntimeCondition{Type: runtimeapi.RuntimeReady, Status: true}
	net := &runtimeapi.RuntimeCondition{Type: runtimeapi.NetworkReady, Status: true}
	if err := s.Network.Status(); err != nil {
		net.Status, net.Reason, net.Message = false, "NetworkPluginNotReady", err.Error()
	}
	res := &runtimeapi.StatusResponse{
		Status:   &runtimeapi.RuntimeStatus{Conditions: []*runtimeapi.RuntimeCondition{ready, net}},
		Features: &runtimeapi.RuntimeFeatures{SupplementalGroupsPolicy: true, MountOptions: true},
	}
	res.RuntimeHandlers = []*runtimeapi.RuntimeHandler{{Name: "", Features: s.handlerFeatures(s.Config.Runtime.DefaultHandler)}}
	for _, name := range s.Config.HandlerNames() {
		res.RuntimeHandlers = append(res.RuntimeHandlers, &runtimeapi.RuntimeHandler{Name: name, Features: s.handlerFeatures(name)})
	}
	if req.Verbose {
		res.Info = s.statusInfo()
	}
	return res, nil
}

func (s *Server) statusInfo() map[string]string {
	runtimes := map[string]any{}
	for name, rt := range s.Runtimes {
		runtimes[name] = rt.Info()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return verboseInfo(map[string]any{"podCIDR": s.podCIDR, "config": s.Config, "runtimes": runtimes, "pending": s.Book.Pending,
		"pulls": s.Images.Pulls(), "pullTotals": s.Images.Totals()})
}

// handlerFeatures is what a handler can do, which takes the runtime and the
// kernel. A runtime that does not tell has none of it.
func (s *Server) handlerFeatures(name string) *runtimeapi.RuntimeHandlerFeatures {
	has := &runtimeapi.RuntimeHandlerFeatures{}
	rt, ok := s.Runtimes[name]
	if !ok || rt.Info().Features == nil || errors.Is(unix.MountSetattr(-1, "", 0, &unix.MountAttr{}), unix.ENOSYS) {
		return has
	}
	told := rt.Info().Features
	has.RecursiveReadOnlyMounts = slices.Contains(told.MountOptions, "rro")
	has.UserNamespaces = !s.Config.Runtime.Handlers[name].VM && told.Linux != nil && slices.Contains(told.Linux.Namespaces, "user")
	return has
}

// UpdateRuntimeConfig keeps the pod CIDRs. It is the CNI configuration that
// decides on addresses.
func (s *Server) UpdateRuntimeConfig(_ context.Context, req *runtimeapi.UpdateRuntimeConfigRequest) (*runtimeapi.UpdateRuntimeConfigResponse, error) {
	if cidr := req.GetRuntimeConfig().GetNetworkConfig().GetPodCidr(); cidr != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.podCIDR = cidr
	}
	return &runtimeapi.UpdateRuntimeConfigResponse{}, nil
}

// RuntimeConfig names the cgroup driver.
func (s *Server) RuntimeConfig(context.Context, *runtimeapi.RuntimeConfigRequest) (*runtimeapi.RuntimeConfigResponse, error) {
	driver := runtimeapi.CgroupDriver_CGROUPFS
	if s.Config.CgroupDriver() == config.CgroupSystemd {
		driver = runtimeapi.CgroupDriver_SYSTEMD
	}
	return &runtimeapi.RuntimeConfigResponse{Linux: &runtimeapi.LinuxRuntimeConfiguration{CgroupDriver: driver}}, nil
}

// verboseInfo is what verbose answers carry: one JSON object under "info".
func verboseInfo(v any) map[string]string {
	data, err := json.Marshal(v)
	if err != nil {
		data, _ = json.Marshal(map[string]string{"error": err.Error()})
	}
	return map[string]string{"info": string(data)}
}

// firstOr returns the first of a list, or the default if it is empty.
func firstOr(list []string, or string) string {
	if i := slices.IndexFunc(list, func(s string) bool { return s != "" }); i >= 0 {
		return list[i]
	}
	return or
}
