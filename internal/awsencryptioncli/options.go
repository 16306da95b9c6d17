// Package awsencryptioncli reads command lines of aws-encryption-cli 4.3: it
// turns arguments into Options, by the rules of the program that reads them
// there, Python's argparse.
//
// It prints nothing, does nothing of what a command line asks for and knows no
// keys. What it reads are the files that arguments name with @.
//
// Sources: the published documentation and source of aws-encryption-sdk-cli for
// the flags and the words of errors; the behaviour of argparse and shlex of
// Python 3.10 to 3.12 for how arguments are told apart.
package awsencryptioncli

// Version is the version of aws-encryption-sdk-cli whose command lines are read,
// SDKVersion that of the AWS Encryption SDK for Python that it names beside it.
const (
	Version    = "4.3.0"
	SDKVersion = "4.0.4"
)

// Action is what a command line asks for.
type Action string

// The actions.
const (
	Encrypt         Action = "encrypt"
	Decrypt         Action = "decrypt"
	DecryptUnsigned Action = "decrypt-unsigned" // refuse signed messages
	ShowVersion     Action = "version"
	ShowHelp        Action = "help"
)

// Options is what a command line says. With ShowVersion and ShowHelp nothing
// but the action is filled in.
type Options struct {
	Action           Action
	Input, Output    string
	Metadata         string // "" is a name too, unless SuppressMetadata
	SuppressMetadata bool
	// OverwriteMetadata empties the metadata's file before the first record.
	OverwriteMetadata bool

	WrappingKeys      []KeyGroup // at least one
	CommitmentPolicy  string     // one of CommitmentPolicies
	Caching           *Caching   // nil: none
	EncryptionContext map[string]string
	RequiredKeys      []string // to decrypt: keys that must be stored, with any value

	Algorithm            string // one of Algorithms, or "" for the policy's default
	FrameLength          *int64 // nil: the default
	MaxLength            *int64
	MaxEncryptedDataKeys *int64
	Suffix               *string // nil: the action's default

	Buffer, Encode, Decode   bool
	Interactive, NoOverwrite bool
	Recursive, Quiet         bool
	Verbosity                int
}

// KeyGroup is one --wrapping-keys.
type KeyGroup struct {
	// Provider is a name that a Python package may have registered. IsKMS tells
	// of those of AWS KMS.
	Provider  string
	Keys      []string
	Discovery bool
	Accounts  []string // with Partition, the only ones whose keys are used
	Partition string
	// Regions and Profiles have one value at most to be of use to AWS KMS.
	Regions, Profiles []string
	Unknown           []string // names of the other parameters
}

// The names of the provider for AWS KMS.
const (
	kmsProvider     = "aws-kms"
	fullKMSProvider = "aws-encryption-sdk-cli::aws-kms"
)

// IsKMS tells whether the keys are of AWS KMS.
func (g *KeyGroup) IsKMS() bool { return g.Provider == kmsProvider || g.Provider == fullKMSProvider }

// Caching is --caching. Fields that are nil were not given.
type Caching struct {
	Capacity    int64
	MaxAge      float64 // in seconds
	MaxMessages *int64  // for each data key
	MaxBytes    *int64  // for each data key; 0: nothing is cached that has any
}

// CommitmentPolicies are the values of --commitment-policy. The last is the
// default.
var CommitmentPolicies = []string{
	"forbid-encrypt-allow-decrypt",
	"require-encrypt-allow-decrypt",
	"require-encrypt-require-decrypt",
}

// Algorithms are the values of --algorithm.
var Algorithms = []string{
	"AES_128_GCM_IV12_TAG16",
	"AES_128_GCM_IV12_TAG16_HKDF_SHA256",
	"AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256",
	"AES_192_GCM_IV12_TAG16",
	"AES_192_GCM_IV12_TAG16_HKDF_SHA256",
	"AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384",
	"AES_256_GCM_HKDF_SHA512_COMMIT_KEY",
	"AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384",
	"AES_256_GCM_IV12_TAG16",
	"AES_256_GCM_IV12_TAG16_HKDF_SHA256",
	"AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384",
}

// UsageError is a command line that cannot be read. The program that it is
// written for prints its usage and the message, and exits with 2. Other errors
// of Parse exit with 1, as they do there.
type UsageError struct{ Message string }

func (e *UsageError) Error() string { return e.Message }

// Parse reads the arguments after the program's name.
func Parse(args []string, env Environment) (*Options, error) {
	args, err := expandFiles(args, env)
	if err != nil {
		return nil, err
	}
	p := &parse{grammar: grammar, raw: new(raw), seen: map[*flag]bool{}}
	if err := p.run(args); err != nil {
		return nil, err
	}
	if p.raw.action == ShowVersion || p.raw.action == ShowHelp {
		return &Options{Action: p.raw.action}, nil
	}
	return p.raw.options()
}
