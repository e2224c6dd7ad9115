package main

// faultsSecurity break the promises about what a process in a container may do.
var faultsSecurity = []fault{}
