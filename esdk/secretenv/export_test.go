package secretenv

// Parse is what decides over a value.
var Parse = parse
