package main

import "slices"

// allFaults break the promises: rules that no table executes. Each file of
// them belongs to the probes of the same name.
func allFaults() []fault {
	return slices.Concat(faultsContainer, faultsImage, faultsRequest, faultsRestart, faultsSandbox,
		faultsStream, faultsResource, faultsStats, faultsEvents, faultsSecurity, faultsDevices, faultsMount, faultsOperation, faultsKernel, faultsKeeper)
}
