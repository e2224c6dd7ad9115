package main

// faultsResource break the promises about limits of containers and pods, and logs.
var faultsResource = []fault{}
