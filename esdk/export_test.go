package esdk

// InOrder is tested by itself.
var InOrder = inOrder
