package server

import "ocid/impl/ledger"

// SandboxStates is the number of sandboxes in each state, by the state's name.
func (s *Server) SandboxStates() map[string]int { return states(s.sandboxes.List()) }

// ContainerStates is the number of containers in each state, by the state's
// name.
func (s *Server) ContainerStates() map[string]int { return states(s.containers.List()) }

func states[T any](all []ledger.Entry[T]) map[string]int {
	count := map[string]int{}
	for _, e := range all {
		count[e.State.String()]++
	}
	return count
}
