package spec

// eventsPromises are the promises about events, streamed lists and the state of the service.
var eventsPromises = []Promise{}
