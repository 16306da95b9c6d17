package awskms

// ARN is an ARN in its parts.
type ARN struct{ Partition, Region, Account, Kind, ID string }

// ParseARN gives the tests parseARN, and the text that it makes of the parts.
func ParseARN(s string) (parts ARN, text string, multiRegion bool, err error) {
	a, err := parseARN(s)
	return ARN{a.partition, a.region, a.account, a.kind, a.id}, a.String(), a.multiRegion(), err
}

// MRKMatch gives the tests mrkMatch.
func MRKMatch(configured, found string) bool { return mrkMatch(configured, found) }
