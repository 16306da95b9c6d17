package awskms

// ParseBranchKeyVersion and FormatBranchKeyVersion give the tests what reads and
// writes sort keys.
var (
	ParseBranchKeyVersion  = parseBranchKeyVersion
	FormatBranchKeyVersion = formatBranchKeyVersion
)

// CheckBranchKeyItem gives the tests the check of an item, and the item that is
// made of the encryption context it returns.
func CheckBranchKeyItem(cfg BranchKeyConfig, item BranchKeyItem, id, kind string) (context map[string]string, again BranchKeyItem, err error) {
	ring, err := cfg.ring()
	if err != nil {
		return nil, again, err
	}
	context, _, err = ring.check(item, id, kind)
	if err != nil {
		return nil, again, err
	}
	return context, newBranchKeyItem(context, item.Binaries[attrKey]), nil
}
