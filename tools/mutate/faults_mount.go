package main

// faultsMount break the promises about mounts, volumes, user namespaces and devices.
var faultsMount = []fault{}
