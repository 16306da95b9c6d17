package awsapi

import "fmt"

// Codes of errors that belong to the protocol and not to one service's model:
// any operation of any service may answer with them.
const (
	CodeAccessDenied               = "AccessDeniedException"
	CodeExpiredToken               = "ExpiredTokenException"
	CodeIncompleteSignature        = "IncompleteSignatureException"
	CodeInternalFailure            = "InternalFailure"
	CodeInvalidSignature           = "InvalidSignatureException"
	CodeMissingAuthenticationToken = "MissingAuthenticationTokenException"
	CodeRequestEntityTooLarge      = "RequestEntityTooLarge"
	CodeRequestExpired             = "RequestExpired"
	CodeSerialization              = "SerializationException"
	CodeServiceUnavailable         = "ServiceUnavailableException"
	CodeThrottling                 = "ThrottlingException"
	CodeUnknownOperation           = "UnknownOperationException"
	CodeUnrecognizedClient         = "UnrecognizedClientException"
	CodeValidation                 = "ValidationException"
)

// Error is an answer that tells a client what went wrong. Both parts are for
// the client's eyes: nothing secret and nothing of the server's inside belongs
// in them. An error of any other type must not reach a client.
type Error struct {
	// Code is the bare name of the error, such as "NotFoundException".
	Code string
	// Message is the text; empty where AWS sends none.
	Message string
}

// Errorf returns an Error with the code and the formatted message; the format ""
// makes one without a message.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error returns "Code: Message", or the code alone where there is no message.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// Status is the HTTP status on the wire: 400 for what the client can mend, 5xx
// for what it should try again. The statuses in AWS's models (404, 409, 412,
// 503) are not what the JSON services send.
func (e *Error) Status() int {
	switch e.Code {
	case "KMSInternalException", "KeyUnavailableException", "DependencyTimeoutException", CodeInternalFailure:
		return 500
	case CodeServiceUnavailable:
		return 503
	case CodeRequestEntityTooLarge:
		return 413
	default:
		return 400
	}
}

// AppendJSON appends the body of the answer. Where Message is empty there is no
// message member at all, as on AWS.
func (e *Error) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"__type":`...)
	dst = AppendString(dst, e.Code)
	if e.Message != "" {
		dst = append(dst, `,"message":`...)
		dst = AppendString(dst, e.Message)
	}
	return append(dst, '}')
}
