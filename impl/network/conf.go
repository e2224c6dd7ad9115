package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/utils"
)

// A conf is one valid network configuration.
type conf struct {
	file string
	list *libcni.NetworkConfigList // Bytes need nothing beside them
}

// plugins names the programs the network needs.
func (c *conf) plugins() []string {
	var names []string
	for _, p := range c.list.Plugins {
		names = append(names, p.Network.Type)
		if p.Network.IPAM.Type != "" {
			names = append(names, p.Network.IPAM.Type)
		}
	}
	return names
}

// A selection is what reading the directory came to.
type selection struct {
	conf     *conf   // nil if err is set
	err      error   // why there is no network
	problems []error // one per file that was passed over
}

// choose takes the first valid file of the directory in the order of names. The
// built-in network serves only where there is no file at all.
func choose(dir string, builtin *conf) *selection {
	files, err := confFiles(dir)
	if err != nil {
		return &selection{err: err, problems: []error{err}}
	}
	sel := &selection{}
	for _, file := range files {
		c, err := loadFile(file)
		if err == nil {
			sel.conf = c
			return sel
		}
		sel.problems = append(sel.problems, fmt.Errorf("network configuration %s: %w", file, err))
	}
	switch {
	case len(sel.problems) > 0:
		sel.err = oneLine(sel.problems)
	case builtin != nil:
		sel.conf = builtin
	default:
		sel.err = fmt.Errorf("no network configuration in %q", dir)
	}
	return sel
}

// oneLine joins errors for a status message.
func oneLine(errs []error) error {
	joined := errs[0]
	for _, err := range errs[1:] {
		joined = fmt.Errorf("%w; %w", joined, err)
	}
	return joined
}

// confFiles lists the directory's configuration files in the order of names.
func confFiles(dir string) ([]string, error) {
	if dir == "" {
		return nil, nil
	}
	files, err := libcni.ConfFiles(dir, []string{".conflist", ".conf", ".json"})
	if err != nil {
		return nil, fmt.Errorf("read network configurations: %w", err)
	}
	slices.Sort(files)
	return files, nil
}

func loadFile(file string) (*conf, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if filepath.Ext(file) != ".conflist" {
		if data, err = listOfOne(data); err != nil {
			return nil, err
		}
	}
	if data, err = inline(data, filepath.Dir(file)); err != nil {
		return nil, err
	}
	c, err := parseList(data)
	if err != nil {
		return nil, err
	}
	c.file = file
	return c, nil
}

// parseList reads a conflist and makes sure that libcni will take it.
func parseList(data []byte) (*conf, error) {
	list, err := libcni.NetworkConfFromBytes(data)
	if err != nil {
		return nil, err
	}
	if err := utils.ValidateNetworkName(list.Name); err != nil {
		return nil, fmt.Errorf("name %q: %w", list.Name, err)
	}
	if len(list.Plugins) == 0 {
		return nil, errors.New("no plugins")
	}
	return &conf{list: list}, nil
}

// listOfOne wraps the configuration of a single plugin, the format from before
// conflists, which kubelet's users still have in .conf and .json files.
func listOfOne(data []byte) ([]byte, error) {
	plugin, err := libcni.NetworkPluginConfFromBytes(data)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"name":       plugin.Network.Name,
		"cniVersion": plugin.Network.CNIVersion,
		"plugins":    []json.RawMessage{data},
	})
}

// inline adds the plugins that CNI 1.1 allows in files of their own, in the
// directory with the network's name, so that the bytes are complete. Without
// such files they stay as they are.
func inline(data []byte, dir string) ([]byte, error) {
	list, err := libcni.NetworkConfFromBytes(data)
	if err != nil || list.LoadOnlyInlinedPlugins || utils.ValidateNetworkName(list.Name) != nil {
		return data, nil // parseList judges it
	}
	more, err := libcni.NetworkPluginConfsFromFiles(dir, list.Name)
	if err != nil || len(more) == 0 {
		return data, err
	}
	raw := map[string]any{}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, err
	}
	var plugins []json.RawMessage
	for _, p := range append(list.Plugins, more...) {
		plugins = append(plugins, p.Bytes)
	}
	raw["plugins"], raw["loadOnlyInlinedPlugins"] = plugins, true
	return json.Marshal(raw)
}
