package main

// faultsStats break the promises about statistics and metrics.
var faultsStats = []fault{}
