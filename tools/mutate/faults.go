package main

// faults break the promises: rules that no table executes.
var faults = []fault{}
