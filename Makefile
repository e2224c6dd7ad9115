# Everything is built and tested from here. "make run" shows ocid at work,
# "make test" runs every check.

.DEFAULT_GOAL := build
MAKEFLAGS += --no-print-directory
.PHONY: run test lint build clean provision race conformance table mutate sample coverage crash install \
	vm critest crictl-test soak fuzz kubelet-test clients ready

# The only place where outside tools get their versions; crictl's is in
# tools/clients/go.mod.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
REVIVE      := github.com/mgechev/revive@v1.12.0

# Static programs, without the C libraries that image signatures and btrfs need.
# A checkout that git refuses to read (another owner's) gets no version stamp.
TAGS := -tags=containers_image_openpgp,exclude_graphdriver_btrfs
export GOFLAGS     := $(filter-out $(TAGS),$(shell go env GOFLAGS)) $(TAGS) $(shell git rev-parse HEAD >/dev/null 2>&1 || echo -buildvcs=false)
export CGO_ENABLED := 0

PROFILE ?= runc
STEP    := @tools/step.sh

run: provision build
	@go run ./tools/demo

test: provision build lint race conformance crash clients sample

provision:
	$(STEP) "provision" tools/provision.sh

# The suite's own programs do not know their commit: another one alone is no
# reason to make the virtual machines' template anew.
build: bin/crictl
	$(STEP) "build" go build -o bin/ ./cmd/...
	@go build -buildvcs=false -o bin/ ./fixtures/witness/cmd/... ./fixtures/vmruntime/cmd/...

bin/crictl: tools/clients/go.mod tools/clients/go.sum
	$(STEP) "build crictl" go build -C tools/clients -o $(CURDIR)/bin/crictl sigs.k8s.io/cri-tools/cmd/crictl

# runc of the Go module, besides Debian's: make conformance RUNC=bin/runc. Its
# seccomp filters take cgo and libseccomp.
bin/runc: tools/runc/go.mod tools/runc/go.sum
	$(STEP) "build runc" env CGO_ENABLED=1 go build -C tools/runc -tags seccomp -o $(CURDIR)/bin/runc github.com/opencontainers/runc
	@du -h $@

# gVisor's runsc of the Go module, for make conformance PROFILE=runsc.
bin/runsc: tools/runsc/go.mod tools/runsc/go.sum
	$(STEP) "build runsc" go build -C tools/runsc -ldflags '-s -w' -o $(CURDIR)/bin/runsc gvisor.dev/gvisor/runsc
	@du -h $@

bin/staticcheck: Makefile
	$(STEP) "build staticcheck" env GOBIN=$(CURDIR)/bin go install $(STATICCHECK)
	@touch $@

bin/revive: Makefile
	$(STEP) "build revive" env GOBIN=$(CURDIR)/bin go install $(REVIVE)
	@touch $@

lint: bin/staticcheck bin/revive
	$(STEP) "gofmt" sh -c 'test -z "$$(gofmt -l . | tee /dev/stderr)"'
	$(STEP) "vet" go vet ./...
	$(STEP) "staticcheck" bin/staticcheck ./...
	$(STEP) "revive" bin/revive -config tools/revive.toml -set_exit_status ./...
	$(STEP) "layers" go run ./tools/layers

race:
	$(STEP) "unit tests" env CGO_ENABLED=1 go test -race ./...

# The kernel, the agent and the template of the virtual machines.
VM_ASSETS := bin/.cache/vm

vm: provision build
	$(STEP) "virtual machine" bin/vmruntime --assets $(VM_ASSETS) assets --agent bin/vmagent
	@du -h $(VM_ASSETS)

# Machines started one after another, one in four without the template; with
# BOUNDS=1 their medians have to keep to the bounds of a quiet machine.
BOOTS ?= 200
vm-soak: vm
	$(STEP) "$(BOOTS) boots" go test ./fixtures/vmruntime/vm -count 1 -v -timeout 60m -run 'TestBoots|TestFourAtOnce' -boots $(BOOTS) $(if $(BOUNDS),-bounds)

# Processes that share the suite, each with a daemon of its own. WHOLE=1 also runs what a profile
# leaves to another one.
JOBS ?= 2

conformance: provision build $(RUNC) $(filter vm,$(PROFILE)) $(if $(filter runsc,$(PROFILE)),bin/runsc)
	$(STEP) "conformance $(PROFILE)" bin/criconform run --jobs $(JOBS) --profile $(PROFILE) --daemon $(CURDIR)/bin/ocid --report-json bin/report-$(PROFILE).json $(if $(WHOLE),--whole) $(if $(RUNC),--set RUNC=$(abspath $(RUNC)))

# The suite on every runtime, and what it came to, rule by rule.
PROFILES := runc vm runsc
table:
	@for profile in $(PROFILES); do $(MAKE) conformance PROFILE=$$profile WHOLE=1 || exit; done
	@{ printf '# The rules by runtime\n\n`make table` runs the suite on each profile and writes this file; `docs/RUNTIMES.md`\nsays what the profiles are.\n\n'; \
	bin/criconform compare $(PROFILES:%=bin/report-%.json); } > docs/RULES.md

# All mutants of all rules, or of one: make mutate RULE=container.stop.absent
mutate: build vm bin/runsc
	$(STEP) "mutation" go run ./tools/mutate $(if $(RULE),--rule '$(RULE)')

# One mutant in SAMPLE, other ones at each commit.
SAMPLE ?= 16
sample: build vm bin/runsc
	$(STEP) "mutation, one in $(SAMPLE)" go run ./tools/mutate --sample $(SAMPLE) --seed "$(shell git rev-parse HEAD 2>/dev/null)"

# All mutants, written down for SPEC.md.
# With NEW=1 only of rules that are new or are broken in other ways than before.
coverage: build vm bin/runsc
	$(STEP) "mutation" go run ./tools/mutate --update $(if $(NEW),--new)
	$(STEP) "SPEC.md" go test ./spec -generate

crash: provision build
	$(STEP) "crash" go run ./tools/crash

# Where make install puts things.
PREFIX  ?= /usr/local
UNITDIR ?= /etc/systemd/system

install: build
	install -D -m 755 bin/ocid bin/ocid-keeper bin/criconform -t $(DESTDIR)$(PREFIX)/bin
	install -D -m 644 docs/CONFIGURATION.md docs/CRI.md SPEC.md -t $(DESTDIR)$(PREFIX)/share/doc/ocid
	install -D -m 644 cmd/ocid/ocid.service -t $(DESTDIR)$(UNITDIR)
	bin/ocid completion bash | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/bash-completion/completions/ocid

# Kubernetes' critest with each way to run it: make critest RUNC=bin/runc
# REPEAT=3 MODES=sequential,4-workers,websocket FOCUS='Networking'
REPEAT ?= 1
critest: provision build $(RUNC)
	$(STEP) "critest" go run ./tools/critest $(if $(RUNC),--runtime $(abspath $(RUNC))) --repeat $(REPEAT) --modes '$(MODES)' --focus '$(FOCUS)'

# Every subcommand of crictl.
crictl-test: provision build $(RUNC)
	$(STEP) "crictl" go run ./tools/crictl $(if $(RUNC),--runtime $(abspath $(RUNC)))

# Four workers use a daemon that is built with the race detector.
DURATION ?= 30m
soak: provision build $(RUNC)
	$(STEP) "build ocid with the race detector" env CGO_ENABLED=1 go build -race -o bin/ocid-race ./cmd/ocid
	$(STEP) "soak $(DURATION)" go run ./tools/soak --duration $(DURATION) $(if $(RUNC),--runtime $(abspath $(RUNC)))

# Each fuzz target for FUZZTIME. Requests, image references, configuration, and
# what runtimes and monitors leave.
FUZZTIME ?= 10m
fuzz:
	$(STEP) "fuzz requests" go test ./impl/gate -run '^$$' -fuzz '^FuzzRequest$$' -fuzztime $(FUZZTIME)
	$(STEP) "fuzz image references" go test ./impl/store/image -run '^$$' -fuzz '^FuzzReference$$' -fuzztime $(FUZZTIME)
	$(STEP) "fuzz configuration" go test ./impl/config -run '^$$' -fuzz '^FuzzLoad$$' -fuzztime $(FUZZTIME)
	$(STEP) "fuzz messages" go test ./impl/runtime -run '^$$' -fuzz '^FuzzMessage$$' -fuzztime $(FUZZTIME)
	$(STEP) "fuzz files" go test ./impl/runtime -run '^$$' -fuzz '^FuzzFiles$$' -fuzztime $(FUZZTIME)

# kubelet takes a quarter of an hour to build on two cores.
bin/kubelet: tools/kubelet/go.mod tools/kubelet/go.sum
	$(STEP) "build kubelet" go build -C tools/kubelet -ldflags "-X k8s.io/component-base/version.gitVersion=v1.37.2" -o $(CURDIR)/bin/kubelet k8s.io/kubernetes/cmd/kubelet

kubelet-test: provision build bin/kubelet $(RUNC)
	$(STEP) "kubelet" go run ./tools/node $(if $(RUNC),--runtime $(abspath $(RUNC)))

# The tests with real clients, in the short form.
clients: critest crictl-test
	@$(MAKE) soak DURATION=60s
	@$(MAKE) fuzz FUZZTIME=5s

# How long pods take to be ready with each runtime, side by side.
ready: build vm bin/runsc
	$(STEP) "ready" go run ./tools/ready

clean:
	rm -rf bin
