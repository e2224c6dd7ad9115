package derived

import (
	"context"
	"strconv"

	"ocid/conformance/target"
	"ocid/spec"

	"github.com/moby/sys/capability"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// inputs calls do with every input of a decision, the row that decides it, and a
// name. Inputs that can't be are left out.
func inputs[T comparable](d spec.Decision[T], possible func(spec.Facts) bool, do func(f spec.Facts, row spec.Choice[T], name string)) {
	for f := spec.Facts(0); f < 1<<len(d.Facts); f++ {
		if !possible(f) {
			continue
		}
		name := d.Facts.String(f)
		if f == 0 {
			name = "none of the facts"
		}
		do(f, *d.Decide(f), name)
	}
}

func every(spec.Facts) bool { return true }

// The privilege of a sandbox is seen in what the runtime is told of a container.
var _ = Describe("Privilege of a sandbox", target.Derived(), func() {
	inputs(book().Privilege, every, func(f spec.Facts, row spec.Choice[bool], name string) {
		It(name, covers(row.Rule), limit, func(ctx SpecContext) {
			t := target.Current()
			need(t, row.Rule)
			c := t.Pod(ctx, privilegeOptions(t, f)...).Create(ctx)
			told := t.Witness.Create(c.ID).Spec.Annotations
			for _, a := range book().Annotations {
				if a.Value == spec.Privileged {
					Expect(told).To(HaveKeyWithValue(a.Key, strconv.FormatBool(row.Then)))
				}
			}
		})
	})
})

func privilegeOptions(t *target.T, f spec.Facts) (opts []target.PodOption) {
	GinkgoHelper()
	for _, o := range []struct {
		fact    spec.Facts
		feature target.Feature
		option  target.PodOption
	}{
		{spec.AskedPrivileged, target.FeaturePrivileged, target.Privileged()},
		{spec.HostNetwork, target.FeatureHostNetwork, target.HostNetwork()},
		{spec.HostPID, target.FeatureHostNamespaces, target.HostPID()},
		{spec.HostIPC, target.FeatureHostNamespaces, target.HostIPC()},
	} {
		if f&o.fact != 0 {
			t.Need(o.feature)
			opts = append(opts, o.option)
		}
	}
	return opts
}

// The elevation of a container is seen in the capabilities of its process.
var _ = Describe("Elevation of a container", target.Derived(), func() {
	inputs(book().Elevation, every, func(f spec.Facts, row spec.Choice[spec.Elevation], name string) {
		It(name, covers(row.Rule), limit, func(ctx SpecContext) {
			t := target.Current()
			need(t, row.Rule)
			t.Need(target.FeaturePrivileged)
			var pod []target.PodOption
			if f&spec.InPrivilegedSandbox != 0 {
				pod = append(pod, target.Privileged())
			}
			var ctr []target.ContainerOption
			if f&spec.ContainerAsks != 0 {
				ctr = append(ctr, target.PrivilegedContainer())
			}
			p := t.Pod(ctx, pod...)
			before := t.Now(ctx)
			c, err := p.TryCreate(ctx, ctr...)
			if row.Code != 0 {
				expectRefused(t, err, row.Rule, row.Code)
				t.ExpectNothingLeft(ctx, before)
				return
			}
			Expect(err).NotTo(HaveOccurred(), "CreateContainer")
			Expect(c.Start(ctx)).To(Succeed(), "StartContainer")
			expectCapabilities(ctx, c, row.Then == spec.Elevated)
		})
	})
})

// expectCapabilities fails unless the container's process has all capabilities
// that there are here, or not all.
func expectCapabilities(ctx context.Context, c *target.Container, all bool) {
	GinkgoHelper()
	awaitStarted(ctx, c.T, c.ID)
	own, err := capabilities(0, capability.BOUNDING)
	Expect(err).NotTo(HaveOccurred())
	has, err := capabilities(c.Init().PID, capability.EFFECTIVE)
	Expect(err).NotTo(HaveOccurred())
	if all {
		Expect(has).To(Equal(own), "capabilities of the process")
	} else {
		Expect(has).NotTo(Equal(own), "capabilities of the process")
	}
}

func capabilities(pid int, which capability.CapType) (string, error) {
	caps, err := capability.NewPid2(pid)
	if err == nil {
		err = caps.Load()
	}
	if err != nil {
		return "", err
	}
	return caps.StringCap(which), nil
}

// The handler of a sandbox is seen in which of the witness runtimes is called.
var _ = Describe("Runtime handler", target.Derived(), func() {
	for _, set := range []bool{true, false} {
		Context("with privileged handler: "+strconv.FormatBool(set), Ordered, ContinueOnFailure, func() {
			if !set {
				BeforeAll(func(ctx SpecContext) {
					Expect(target.Current().Reconfigure(ctx, map[string]string{target.VarPrivilegedHandler: ""})).To(Succeed())
				}, NodeTimeout(setUp))
			}
			possible := func(f spec.Facts) bool {
				return (f&spec.HandlerNamed != 0 || f&spec.HandlerKnown == 0) && (f&spec.PrivilegedHandlerSet != 0) == set
			}
			inputs(book().Handler, possible, func(f spec.Facts, row spec.Choice[spec.HandlerChoice], name string) {
				It(name, covers(row.Rule), limit, func(ctx SpecContext) {
					t := target.Current()
					need(t, row.Rule)
					t.Need(target.FeatureHandlers, target.FeatureWitness)
					checkHandler(ctx, t, f, row)
				})
			})
		})
	}
})

func checkHandler(ctx context.Context, t *target.T, f spec.Facts, row spec.Choice[spec.HandlerChoice]) {
	GinkgoHelper()
	named, opts := handlerOptions(t, f)
	req := t.PodRequest(opts...)
	before := t.Now(ctx)
	p, err := t.RunPod(ctx, req)
	if row.Code != 0 {
		expectRefused(t, err, row.Rule, row.Code)
		t.ExpectNothingLeft(ctx, before)
		return
	}
	Expect(err).NotTo(HaveOccurred(), "RunPodSandbox")
	want := map[spec.HandlerChoice]string{
		spec.NamedHandler:      named,
		spec.PrivilegedHandler: t.Var(target.VarPrivilegedHandler),
		spec.DefaultHandler:    t.Var(target.VarDefaultHandler),
	}
	Expect(want).To(HaveKey(row.Then))
	for _, id := range []string{p.ID, p.Create(ctx).ID} { // the infra container's too
		Expect(t.Witness.Create(id).Handler).To(Equal(want[row.Then]), "runtime handler of %s", id)
	}
}

// handlerOptions makes a sandbox of the facts. If it names a handler, then not
// the one that it would get otherwise.
func handlerOptions(t *target.T, f spec.Facts) (named string, opts []target.PodOption) {
	GinkgoHelper()
	opts = append(opts, target.SharedPID())
	otherwise := t.Var(target.VarDefaultHandler)
	if f&spec.SandboxPrivileged != 0 {
		t.Need(target.FeaturePrivileged)
		opts = append(opts, target.Privileged())
		if f&spec.PrivilegedHandlerSet != 0 {
			otherwise = t.Var(target.VarPrivilegedHandler)
		}
	}
	switch {
	case f&spec.HandlerNamed == 0:
		return "", opts
	case f&spec.HandlerKnown == 0:
		named = "no-such-handler"
	default:
		for _, h := range t.Handlers() {
			if h != otherwise {
				named = h
			}
		}
	}
	return named, append(opts, target.Handler(named))
}

// vmVariable makes the profile's second handler one of a VM runtime.
const vmVariable = "NATIVE_VM"

// The infra process is seen in the runtime's calls and on the host.
var _ = Describe("Infra process", target.Derived(), func() {
	for _, config := range []spec.Facts{0, spec.InfraAlways, spec.VMRuntime, spec.InfraAlways | spec.VMRuntime} {
		Context("with configuration "+book().Infra.Facts.String(config), Ordered, ContinueOnFailure, func() {
			if config != 0 {
				BeforeAll(func(ctx SpecContext) {
					Expect(target.Current().Reconfigure(ctx, infraVariables(config))).To(Succeed())
				}, NodeTimeout(setUp))
			}
			possible := func(f spec.Facts) bool { return f&^spec.SharedPID == config }
			inputs(book().Infra, possible, func(f spec.Facts, row spec.Choice[bool], name string) {
				It(name, covers(row.Rule), limit, func(ctx SpecContext) {
					t := target.Current()
					need(t, row.Rule)
					checkInfra(ctx, t, f, row.Then)
				})
			})
		})
	}
})

func infraVariables(config spec.Facts) map[string]string {
	vars := map[string]string{}
	if config&spec.InfraAlways != 0 {
		vars[target.VarInfra] = "always"
	}
	if config&spec.VMRuntime != 0 {
		vars[vmVariable] = "true"
	}
	return vars
}

func checkInfra(ctx context.Context, t *target.T, f spec.Facts, want bool) {
	GinkgoHelper()
	t.Need(target.FeatureHandlers, target.FeatureWitness)
	opts := []target.PodOption{target.Handler(t.Handlers()[1])}
	if f&spec.SharedPID != 0 {
		opts = append(opts, target.SharedPID())
	}
	p := t.Pod(ctx, opts...)
	Expect(len(t.Witness.Creates(p.ID)) > 0).To(Equal(want), "the runtime creates an infra container")
	Expect(len(p.Processes()) > 0).To(Equal(want), "an infra process runs")
}
