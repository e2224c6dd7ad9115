package server

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/moby/sys/devices"
	devconfig "github.com/opencontainers/cgroups/devices/config"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
)

// HostDevices are all nodes under /dev, for privileged containers.
func HostDevices() ([]specs.LinuxDevice, error) {
	found, err := devices.HostDevices()
	if err != nil {
		return nil, fmt.Errorf("devices of the host: %w", err)
	}
	var all []specs.LinuxDevice
	for _, d := range found {
		all = append(all, ociDevice(d, d.Path))
	}
	return all, nil
}

func ociDevice(d *devconfig.Device, path string) specs.LinuxDevice {
	mode, uid, gid := d.FileMode&os.ModePerm, d.Uid, d.Gid
	return specs.LinuxDevice{Path: path, Type: string(d.Type), Major: d.Major, Minor: d.Minor, FileMode: &mode, UID: &uid, GID: &gid}
}

// hostDevices finds the nodes that a container asks for. A directory stands
// for all nodes below it.
func hostDevices(asked []*runtimeapi.Device) ([]oci.Device, error) {
	var all []oci.Device
	for i, a := range asked {
		if a.HostPath == "" || a.ContainerPath == "" {
			return nil, refusedDevice(fmt.Sprintf("config.devices[%d]", i), "has no host_path or no container_path")
		}
		real, err := filepath.EvalSymlinks(a.HostPath)
		if err != nil {
			return nil, refusedDevice(fmt.Sprintf("config.devices[%d].host_path", i), err.Error())
		}
		found, err := nodes(real)
		if err != nil {
			return nil, refusedDevice(fmt.Sprintf("config.devices[%d].host_path", i), err.Error())
		}
		for _, d := range found {
			rel, err := filepath.Rel(real, d.Path)
			if err != nil {
				return nil, err
			}
			all = append(all, oci.Device{LinuxDevice: ociDevice(d, filepath.Join(a.ContainerPath, rel)), Permissions: a.Permissions})
		}
	}
	return all, nil
}

func refusedDevice(field, reason string) error {
	return &oci.FieldError{Field: field, Reason: reason}
}

func nodes(path string) ([]*devconfig.Device, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return devices.GetDevices(path)
	}
	d, err := devices.DeviceFromPath(path, "rwm")
	if err != nil {
		return nil, err
	}
	return []*devconfig.Device{d}, nil
}
