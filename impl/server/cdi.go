package server

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"tags.cncf.io/container-device-interface/pkg/cdi"

	"ocid/impl/oci"
)

// injectDevices edits a configuration as the CDI devices ask for that a
// container names in its field or, as older device plugins have it, in its
// annotations. The specs are read anew: a device plugin may just have written
// one.
func (s *Server) injectDevices(config *specs.Spec, c *runtimeapi.ContainerConfig) error {
	_, annotated, err := cdi.ParseAnnotations(c.GetAnnotations())
	if err != nil {
		return refusedCDI("config.annotations", err)
	}
	names := slices.Clone(annotated)
	for _, d := range c.GetCDIDevices() {
		if !slices.Contains(names, d.GetName()) {
			names = append(names, d.GetName())
		}
	}
	if len(names) == 0 {
		return nil
	}
	cache, err := cdi.NewCache(cdi.WithSpecDirs(s.Config.Runtime.CDISpecDirs...), cdi.WithAutoRefresh(false))
	if err != nil {
		return fmt.Errorf("cdi: %w", err)
	}
	unknown, err := cache.InjectDevices(config, names...)
	if err == nil {
		return nil
	}
	field := "config.CDI_devices"
	if len(unknown) > 0 && slices.Contains(annotated, unknown[0]) {
		field = "config.annotations"
	}
	return refusedCDI(field, errors.Join(err, brokenSpecs(cache)))
}

// brokenSpecs says which specs could not be read: a device that is not found may
// stand there.
func brokenSpecs(cache *cdi.Cache) error {
	var all []error
	for _, path := range slices.Sorted(maps.Keys(cache.GetErrors())) {
		all = append(all, cache.GetErrors()[path]...)
	}
	return errors.Join(all...)
}

func refusedCDI(field string, err error) error {
	return &oci.FieldError{Field: field, Reason: err.Error()}
}
