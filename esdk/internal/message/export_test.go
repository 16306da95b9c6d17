package message

// HKDFSHA512 is tested by itself.
var HKDFSHA512 = hkdfSHA512
