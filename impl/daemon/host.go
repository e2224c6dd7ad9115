package daemon

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/moby/sys/capability"
	"github.com/opencontainers/cgroups"

	"ocid/impl/config"
	"ocid/impl/flight"
	"ocid/impl/oci"
	"ocid/impl/store/image"
	"ocid/impl/version"
)

// hostFacts looks at the machine once.
func hostFacts(c *config.Config) (h oci.Host, err error) {
	if h.Hostname, err = os.Hostname(); err != nil {
		return h, err
	}
	if err := ownCapabilities(&h); err != nil {
		return h, err
	}
	h.CgroupV2 = cgroups.IsCgroup2UnifiedMode()
	if !h.CgroupV2 {
		_, err := cgroups.FindCgroupMountpoint("", "hugetlb") // which may be known and not mounted
		h.Hugetlb = err == nil
		_, err = os.Stat("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")
		h.SwapLimit = err == nil
	} else {
		_, err := os.Stat("/proc/swaps")
		h.Hugetlb, h.SwapLimit = true, err == nil
	}
	_, err = os.Stat("/sys/kernel/security/apparmor")
	h.AppArmor, h.AppArmorDefault = err == nil, c.Runtime.AppArmorProfile
	for _, name := range c.Runtime.DefaultCapabilities {
		h.DefaultCapabilities = append(h.DefaultCapabilities, "CAP_"+strings.TrimPrefix(strings.ToUpper(name), "CAP_"))
	}
	return h, nil
}

// ownCapabilities finds what the daemon may hand on: its bounding set, and how
// low it may set an OOM score.
func ownCapabilities(h *oci.Host) error {
	caps, err := capability.NewPid2(0)
	if err == nil {
		err = caps.Load()
	}
	if err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	known, err := capability.ListSupported()
	if err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	for _, c := range known {
		if caps.Get(capability.BOUNDING, c) && caps.Get(capability.PERMITTED, c) {
			h.Capabilities = append(h.Capabilities, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	h.MinOOMScoreAdj = -1000
	if !caps.Get(capability.EFFECTIVE, capability.CAP_SYS_RESOURCE) {
		text, err := os.ReadFile("/proc/self/oom_score_adj")
		if err != nil {
			return err
		}
		h.MinOOMScoreAdj, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err
	}
	return nil
}

func (d *daemon) openImages() (*image.Images, error) {
	c := d.cfg.Image
	return image.New(d.store, image.Options{
		Flights:        &flight.Group[string]{},
		RegistriesConf: c.RegistriesConf, RegistriesConfDir: c.RegistriesConfDir, RegistriesDir: c.RegistriesDir, CertsDir: c.CertsDir,
		PolicyPath: c.Policy, PolicyDir: c.PolicyDir, AuthFile: c.AuthFile, AuthDir: c.AuthDir,
		BlobDir: d.cfg.BlobDir(), StallTimeout: c.StallTimeout.Duration, ParallelBlob: c.ParallelDownloads, Pinned: c.Pinned,
		UserAgent: "ocid/" + version.String(), Log: d.log,
	})
}
