package network

import (
	"context"
	"fmt"

	"github.com/containernetworking/cni/libcni"
)

// Add brings up the namespace's loopback interface and runs the plugins' ADD.
// The pod must have a live namespace. A result without an address for the pod is
// an error.
//
// Add never takes anything back: after an error, or a crash in the middle, the
// caller calls Del with the same Attachment and Pod, which its journal holds.
// When the context ends, the running plugin and its children are killed.
func (m *Manager) Add(ctx context.Context, a Attachment, pod Pod) (Result, error) {
	res, err := m.add(ctx, a, pod)
	if err != nil {
		return Result{}, fmt.Errorf("attach pod %s to network %q: %w", pod.ID, a.Network, err)
	}
	return res, nil
}

func (m *Manager) add(ctx context.Context, a Attachment, pod Pod) (Result, error) {
	c, err := parseList(a.ConfList)
	if err != nil {
		return Result{}, err
	}
	if err := pod.check(); err != nil {
		return Result{}, err
	}
	if err := loopbackUp(pod.NetNS); err != nil {
		return Result{}, err
	}
	res, err := m.cni.AddNetworkList(ctx, c.list, pod.runtimeConf())
	if err != nil {
		return Result{}, err
	}
	return newResult(res)
}

// Del runs the plugins' DEL, in reverse order, with the configuration of the
// Attachment. It can be repeated, and called for a pod whose Add failed, never
// ran, or ran half; for a pod that Add refuses it does nothing. If NetNS is ""
// or no live namespace any more, plugins are told so by an empty CNI_NETNS: they
// then give back what they hold outside of it, as far as they can tell.
//
// A failing or missing plugin is an error, and the plugins before it in the list
// have not run; the caller keeps the namespace and calls again. When the context
// ends, the running plugin and its children are killed.
func (m *Manager) Del(ctx context.Context, a Attachment, pod Pod) error {
	c, err := parseList(a.ConfList)
	if err == nil && pod.check() == nil {
		err = m.del(ctx, c.list, pod)
	}
	if err != nil {
		return fmt.Errorf("detach pod %s from network %q: %w", pod.ID, a.Network, err)
	}
	return nil
}

func (m *Manager) del(ctx context.Context, list *libcni.NetworkConfigList, pod Pod) error {
	if !isNamespace(pod.NetNS) {
		pod.NetNS = ""
	}
	rt := pod.runtimeConf()
	if pod.NetNS != "" {
		if err := m.restoreAddresses(list, rt); err != nil {
			m.log.Warn("addresses of a pod not restored before CNI DEL", "pod", pod.ID, "error", err)
		}
	}
	return m.cni.DelNetworkList(ctx, list, rt)
}

// restoreAddresses puts back on the pod's interface the addresses that ADD gave
// it. Some runtimes take them off for themselves (gVisor), and the bridge plugin
// finds the masquerading rules to delete by the addresses it sees there.
func (m *Manager) restoreAddresses(list *libcni.NetworkConfigList, rt *libcni.RuntimeConf) error {
	cached, err := m.cni.GetNetworkListCachedResult(list, rt)
	if err != nil || cached == nil {
		return err
	}
	ips, _, err := podAddresses(cached)
	if err != nil {
		return err
	}
	return addAddresses(rt.NetNS, ips)
}
