package main

// faultsDevices break the promises about users, privileged containers, devices
// and DNS.
var faultsDevices = []fault{}
