package audit

import "os"

// Hold keeps the log from writing until release is called.
func Hold(l *Log) (release func()) {
	l.writeMu.Lock()
	return l.writeMu.Unlock
}

// Waiting is the number of records that wait for the next frame.
func Waiting(l *Log) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.current.count)
}

// SwapFile puts another file in the place of the open segment's.
func SwapFile(l *Log, f *os.File) *os.File {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	old := l.w.file
	l.w.file = f
	return old
}

// Synced says whether everything recorded is durable.
func Synced(l *Log) bool {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	return l.w.synced == l.w.size
}

// HMAC is the package's own HMAC-SHA-256.
func HMAC(k [32]byte, label string, data []byte) (out [32]byte) {
	key := key(k)
	hmacSHA256(&out, &key, label, data)
	return out
}
