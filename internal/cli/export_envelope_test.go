package cli

// KeyGroup parses a --wrapping-keys and returns what it says.
func KeyGroup(text string) (keys []string, discovery, filtered bool, err error) {
	g, err := parseKeyGroup(text)
	if err != nil {
		return nil, false, false, err
	}
	return g.keys, g.discovery, g.filter != nil, nil
}

// RawKey parses the value of a flag for a raw key.
func RawKey(text string) (namespace, name string, err error) {
	key, err := parseRawKey(text, true)
	if err != nil {
		return "", "", err
	}
	return key.namespace, key.name, nil
}

// SplitRawKey takes the value of a flag for a raw key apart.
func SplitRawKey(text string, known ...string) (file string, params map[string]string, err error) {
	return splitRawKey(text, known...)
}

// Caching parses a --caching.
func Caching(text string) (maxAge float64, messages int64, err error) {
	cfg, err := parseCaching(text)
	return cfg.MaxAge.Seconds(), cfg.MaxMessages, err
}

// Printable is how inspect shows text that somebody else wrote.
func Printable(text string) string { return printable(text) }
