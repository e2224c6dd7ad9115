package main

// faultsOperation break the promises about how the daemon is operated.
var faultsOperation = []fault{}
