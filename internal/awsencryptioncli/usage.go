package awsencryptioncli

// Name is what the program is called.
const Name = "aws-encryption-cli"

// Usage is the command line in short.
const Usage = `usage: aws-encryption-cli [-h] (--version | -e | -d | --decrypt-unsigned)
                          (-S | --metadata-output METADATA_OUTPUT)
                          [--overwrite-metadata] -w WRAPPING_KEYS
                          [WRAPPING_KEYS ...]
                          [--commitment-policy COMMITMENT_POLICY]
                          [--caching CACHING [CACHING ...]] [-b] -i INPUT -o
                          OUTPUT [--encode] [--decode]
                          [-c ENCRYPTION_CONTEXT [ENCRYPTION_CONTEXT ...]]
                          [--algorithm ALGORITHM]
                          [--frame-length FRAME_LENGTH]
                          [--max-length MAX_LENGTH]
                          [--max-encrypted-data-keys MAX_ENCRYPTED_DATA_KEYS]
                          [--suffix [SUFFIX]] [--interactive] [--no-overwrite]
                          [-r] [-v] [-q]
`

// Help is the command line with what each flag means.
const Help = Usage + `
The command line of aws-encryption-cli 4.3, read by keywright.

  -h, --help            show this
  --version             show the versions
  -e, --encrypt         encrypt
  -d, --decrypt         decrypt
  --decrypt-unsigned    decrypt, and refuse messages that are signed
  -S, --suppress-metadata
                        write no metadata
  --metadata-output FILE
                        append a line of JSON about each message to FILE, or
                        write it to stdout with -
  --overwrite-metadata  empty FILE first
  -w, --wrapping-keys key=ID [NAME=VALUE ...]
                        wrapping keys, with profile= and region=, or to decrypt
                        discovery=true with, both or neither,
                        discovery-account= and discovery-partition=;
                        repeatable: the first key makes the data keys
  --commitment-policy POLICY
                        forbid-encrypt-allow-decrypt,
                        require-encrypt-allow-decrypt or
                        require-encrypt-require-decrypt, which is the default
  --caching capacity=N max_age=SECONDS [NAME=VALUE ...]
                        let files share data keys; max_messages_encrypted= and
                        max_bytes_encrypted= limit each
  -b, --buffer          write nothing before all of a message was verified
  -i, --input PATH      file, directory, pattern, or - for stdin
  -o, --output PATH     file, directory that exists, or - for stdout
  --encode              write base64
  --decode              read base64
  -c, --encryption-context KEY=VALUE ...
                        pairs of the encryption context; to decrypt, those and
                        KEYs that a message must have
  --algorithm NAME      algorithm suite, to encrypt
  --frame-length N      bytes in a frame, to encrypt; default 4096
  --max-length N        bytes that a frame may have, to decrypt
  --max-encrypted-data-keys N
                        encrypted data keys that a message may have
  --suffix [TEXT]       what is appended to names in an output directory;
                        default .encrypted or .decrypted
  --interactive         ask before a file is replaced
  --no-overwrite        replace no file
  -r, -R, --recursive   take all files of directories
  -v                    tell of each file; -vv tells more
  -q, --quiet           tell of errors only
`
