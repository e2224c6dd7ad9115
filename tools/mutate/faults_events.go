package main

// faultsEvents break the promises about events, streamed lists and the state of the service.
var faultsEvents = []fault{}
