package main

// faultsStream break the promises about Exec, Attach and PortForward.
var faultsStream = []fault{}
