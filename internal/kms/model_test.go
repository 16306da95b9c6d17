package kms_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keywright/keywright/internal/awsapi"
)

// TestModel runs random sequences of operations, of two accounts in two Regions,
// with the clock moving and restarts in between, against a model in plain maps.
// It makes some hundreds of steps; with KEYWRIGHT_SOAK set a million, for which
// go test needs a -timeout of an hour.
func TestModel(t *testing.T) {
	steps, checks := "60", "15"
	if os.Getenv("KEYWRIGHT_SOAK") != "" {
		steps, checks = "200", "5000"
	}
	for name, value := range map[string]string{"rapid.steps": steps, "rapid.checks": checks} {
		if f := flag.Lookup(name); f.Value.String() == f.DefValue { // not set by hand
			if err := flag.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		defer w.close()
		w.keyLimit = modelKeyLimit
		w.open()
		d := &driver{w: w, keys: map[string]*modelKey{}, aliases: map[modelAlias]string{}}
		rt.Repeat(map[string]func(*rapid.T){
			"":                     d.compare,
			"CreateKey":            d.createKey,
			"CreateAlias":          d.createAlias,
			"UpdateAlias":          d.updateAlias,
			"DeleteAlias":          d.deleteAlias,
			"TagResource":          d.tagResource,
			"UntagResource":        d.untagResource,
			"UpdateKeyDescription": d.updateKeyDescription,
			"EnableKey":            d.enableKey,
			"DisableKey":           d.disableKey,
			"PutKeyPolicy":         d.putKeyPolicy,
			"ScheduleKeyDeletion":  d.scheduleKeyDeletion,
			"CancelKeyDeletion":    d.cancelKeyDeletion,
			"Encrypt":              d.encrypt,
			"Decrypt":              d.decrypt,
			"Decrypt by name":      d.decryptByName,
			"ReEncrypt":            d.reEncrypt,
			"time passes":          d.timePasses,
			"restart":              func(*rapid.T) { w.open() },
		})
		for _, b := range d.blobs { // what was encrypted opens, now, exactly if the model says so
			d.decryptAs(rt, account, b, true)
			d.decryptAs(rt, other, b, true)
		}
		d.compare(rt)
	})
}

const (
	modelKeyLimit = 3 // keys of an account in a Region
	modelGrace    = 1 // days
)

// modelKey is what the model knows of a key. All times are in days.
type modelKey struct {
	id, account, region string
	description         string
	disabled            bool
	deletion            int // the day the key goes; 0 where it stays
	policy              string
	tags                [][2]string
	deleted             bool
	erasure             int // of a deleted key: the day its material goes; 0 once it is gone
}

func (k *modelKey) arn() string {
	return "arn:aws:kms:" + k.region + ":" + k.account + ":key/" + k.id
}

type modelAlias struct{ account, region, name string }

func (a modelAlias) arn() string {
	return "arn:aws:kms:" + a.region + ":" + a.account + ":" + a.name
}

type modelBlob struct {
	key       *modelKey
	blob      any
	plaintext string
	context   string
}

type driver struct {
	w       *world
	day     int
	keys    map[string]*modelKey // by id; deleted ones stay
	ids     []string             // in the order they were made
	aliases map[modelAlias]string
	blobs   []modelBlob
}

// The policies a key may have. All let the owner put another.
var modelPolicies = map[string]string{
	"default": policyFor("%[1]s"),
	"shared":  `{"Statement":{"Effect":"Allow","Principal":{"AWS":["%[1]s","%[2]s"]},"Action":"kms:*","Resource":"*"}}`,
	"no encryption": `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"%[1]s"},"Action":"kms:*","Resource":"*"},
		{"Effect":"Deny","Principal":"*","Action":["kms:Encrypt","kms:ReEncryptTo"],"Resource":"*"}]}`,
	"no tags by alias": `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"%[1]s"},"Action":"kms:*","Resource":"*"},
		{"Effect":"Deny","Principal":"*","Action":"kms:*Resource","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/a"}}}]}`,
}

func policyText(name, owner string) string {
	foreign := other
	if owner == other {
		foreign = account
	}
	text := modelPolicies[name]
	if strings.Contains(text, "%[2]s") {
		return fmt.Sprintf(text, owner, foreign)
	}
	return fmt.Sprintf(text, owner)
}

// allowed says whether a caller may do an action on a key.
func (d *driver) allowed(caller, action string, k *modelKey) bool {
	switch k.policy {
	case "shared":
		return true
	case "no encryption":
		return caller == k.account && action != "kms:Encrypt" && action != "kms:ReEncryptTo"
	case "no tags by alias":
		named := d.aliases[modelAlias{k.account, k.region, "alias/a"}] == k.id
		return caller == k.account && !(named && strings.HasSuffix(action, "Resource"))
	}
	return caller == k.account
}

// scene is who calls, and where.
type scene struct{ caller, region string }

func drawScene(t *rapid.T) scene {
	return scene{
		rapid.SampledFrom([]string{account, account, account, other}).Draw(t, "caller"),
		rapid.SampledFrom([]string{region, region, region, "eu-west-1"}).Draw(t, "region"),
	}
}

var modelAliasNames = []string{"alias/a", "alias/b", "alias/c"}

// name is how a request names a key, and what the model makes of it.
type name struct {
	text string
	key  *modelKey // nil where it is not found
	code string    // the error then
}

// drawName draws a way to name a key: any there ever was, in all forms or only
// those that operations on keys take.
func (d *driver) drawName(t *rapid.T, s scene, aliases bool) name {
	forms := []string{"id", "id", "ARN"}
	if aliases {
		forms = append(forms, "alias", "alias ARN")
	}
	form := rapid.SampledFrom(forms).Draw(t, "form")
	if strings.HasPrefix(form, "alias") {
		a := modelAlias{s.caller, s.region, rapid.SampledFrom(modelAliasNames).Draw(t, "alias")}
		if form == "alias ARN" {
			a.account = rapid.SampledFrom([]string{account, other}).Draw(t, "owner")
		}
		n := name{text: a.name, key: d.keys[d.aliases[a]], code: "NotFoundException"}
		if form == "alias ARN" {
			n.text = a.arn()
			if a.account != s.caller {
				n.code = "AccessDeniedException"
			}
		}
		return n
	}
	if len(d.ids) == 0 {
		return name{text: "00000000-0000-4000-8000-000000000000", code: "NotFoundException"}
	}
	k := d.keys[rapid.SampledFrom(d.ids).Draw(t, "key")]
	n := name{text: k.id, key: k, code: "NotFoundException"}
	if form == "id" {
		if k.account != s.caller || k.region != s.region || k.deleted {
			n.key = nil
		}
		return n
	}
	n.text = k.arn()
	switch {
	case k.region != s.region:
		n.key = nil
	case k.deleted:
		n.key = nil
		if k.account != s.caller {
			n.code = "AccessDeniedException"
		}
	}
	return n
}

// changeCode is the error of a named key for an operation of its own account, ""
// where it is there and the caller may do it.
func (d *driver) changeCode(s scene, n name, action string) string {
	switch {
	case n.key == nil:
		return n.code
	case n.key.account != s.caller, !d.allowed(s.caller, action, n.key):
		return "AccessDeniedException"
	}
	return ""
}

// useCode is the error of a use in cryptography.
func (d *driver) useCode(caller, action string, k *modelKey) string {
	switch {
	case !d.allowed(caller, action, k):
		return "AccessDeniedException"
	default:
		return stateCode(k)
	}
}

func stateCode(k *modelKey) string {
	switch {
	case k.deletion != 0:
		return "KMSInvalidStateException"
	case k.disabled:
		return "DisabledException"
	}
	return ""
}

func pendingCode(k *modelKey) string {
	if k.deletion != 0 {
		return "KMSInvalidStateException"
	}
	return ""
}

// do calls an operation that has to answer with an error code, or succeed where
// it is empty.
func (d *driver) do(t *rapid.T, s scene, want, operation string, request m) m {
	t.Helper()
	resp, err := d.w.as(s.caller, s.region, operation, request)
	got := ""
	if e, ok := errors.AsType[*awsapi.Error](err); ok {
		got = e.Code
	}
	if got != want {
		t.Fatalf("%s %v by %s in %s: got error %v, want %q", operation, request, s.caller, s.region, err, want)
	}
	return resp
}

func (d *driver) createKey(t *rapid.T) {
	s := drawScene(t)
	policy := rapid.SampledFrom(slices.Sorted(maps.Keys(modelPolicies))).Draw(t, "policy")
	have := 0
	for _, k := range d.keys {
		if k.account == s.caller && k.region == s.region && !k.deleted {
			have++
		}
	}
	want := ""
	if have >= modelKeyLimit {
		want = "LimitExceededException"
	}
	request := m{"Description": fmt.Sprint(len(d.ids)), "Tags": []m{{"TagKey": "made", "TagValue": "1"}}}
	if policy != "default" {
		request["Policy"] = policyText(policy, s.caller)
	}
	resp := d.do(t, s, want, "CreateKey", request)
	if want != "" {
		return
	}
	k := &modelKey{
		id: resp["KeyMetadata"].(m)["KeyId"].(string), account: s.caller, region: s.region,
		description: request["Description"].(string), policy: policy, tags: [][2]string{{"made", "1"}},
	}
	d.keys[k.id] = k
	d.ids = append(d.ids, k.id)
}

func (d *driver) createAlias(t *rapid.T) {
	s := drawScene(t)
	n := d.drawName(t, s, false)
	a := modelAlias{s.caller, s.region, rapid.SampledFrom(modelAliasNames).Draw(t, "new alias")}
	want := d.changeCode(s, n, "kms:CreateAlias")
	if _, exists := d.aliases[a]; exists && want == "" {
		want = "AlreadyExistsException"
	}
	if want == "" {
		want = pendingCode(n.key)
	}
	d.do(t, s, want, "CreateAlias", m{"AliasName": a.name, "TargetKeyId": n.text})
	if want == "" {
		d.aliases[a] = n.key.id
	}
}

func (d *driver) updateAlias(t *rapid.T) {
	s := drawScene(t)
	n := d.drawName(t, s, false)
	a := modelAlias{s.caller, s.region, rapid.SampledFrom(modelAliasNames).Draw(t, "alias")}
	want := ""
	if _, exists := d.aliases[a]; !exists {
		want = "NotFoundException"
	} else if want = d.changeCode(s, n, "kms:UpdateAlias"); want == "" {
		want = pendingCode(n.key)
	}
	d.do(t, s, want, "UpdateAlias", m{"AliasName": a.name, "TargetKeyId": n.text})
	if want == "" {
		d.aliases[a] = n.key.id
	}
}

func (d *driver) deleteAlias(t *rapid.T) {
	s := drawScene(t)
	a := modelAlias{s.caller, s.region, rapid.SampledFrom(modelAliasNames).Draw(t, "alias")}
	want := ""
	if _, exists := d.aliases[a]; !exists {
		want = "NotFoundException"
	}
	d.do(t, s, want, "DeleteAlias", m{"AliasName": a.name})
	delete(d.aliases, a)
}

// change runs an operation that changes a key, unless the key is pending deletion.
func (d *driver) change(t *rapid.T, operation string, request m, edit func(*modelKey)) {
	s := drawScene(t)
	n := d.drawName(t, s, false)
	want := d.changeCode(s, n, "kms:"+operation)
	if want == "" && operation != "PutKeyPolicy" {
		want = pendingCode(n.key)
	}
	request["KeyId"] = n.text
	d.do(t, s, want, operation, request)
	if want == "" {
		edit(n.key)
	}
}

func (d *driver) tagResource(t *rapid.T) {
	pairs := rapid.MapOfN(rapid.SampledFrom([]string{"made", "a", "A", "b"}), rapid.SampledFrom([]string{"", "1", "2"}), 1, 3).Draw(t, "tags")
	var list []m
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		list = append(list, m{"TagKey": key, "TagValue": pairs[key]})
	}
	d.change(t, "TagResource", m{"Tags": list}, func(k *modelKey) {
		for _, key := range slices.Sorted(maps.Keys(pairs)) {
			if i := slices.IndexFunc(k.tags, func(t [2]string) bool { return t[0] == key }); i >= 0 {
				k.tags[i][1] = pairs[key]
			} else {
				k.tags = append(k.tags, [2]string{key, pairs[key]})
			}
		}
	})
}

func (d *driver) untagResource(t *rapid.T) {
	keys := rapid.SliceOfN(rapid.SampledFrom([]string{"made", "a", "A", "b"}), 1, 3).Draw(t, "keys")
	d.change(t, "UntagResource", m{"TagKeys": keys}, func(k *modelKey) {
		k.tags = slices.DeleteFunc(k.tags, func(t [2]string) bool { return slices.Contains(keys, t[0]) })
	})
}

func (d *driver) updateKeyDescription(t *rapid.T) {
	text := rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "description")
	d.change(t, "UpdateKeyDescription", m{"Description": text}, func(k *modelKey) { k.description = text })
}

func (d *driver) enableKey(t *rapid.T) {
	d.change(t, "EnableKey", m{}, func(k *modelKey) { k.disabled = false })
}

func (d *driver) disableKey(t *rapid.T) {
	d.change(t, "DisableKey", m{}, func(k *modelKey) { k.disabled = true })
}

func (d *driver) putKeyPolicy(t *rapid.T) {
	policy := rapid.SampledFrom(slices.Sorted(maps.Keys(modelPolicies))).Draw(t, "policy")
	s := drawScene(t)
	n := d.drawName(t, s, false)
	want := d.changeCode(s, n, "kms:PutKeyPolicy")
	d.do(t, s, want, "PutKeyPolicy", m{"KeyId": n.text, "Policy": policyText(policy, s.caller)})
	if want == "" {
		n.key.policy = policy
	}
}

func (d *driver) scheduleKeyDeletion(t *rapid.T) {
	days := rapid.IntRange(7, 9).Draw(t, "days")
	d.change(t, "ScheduleKeyDeletion", m{"PendingWindowInDays": days}, func(k *modelKey) { k.deletion = d.day + days })
}

func (d *driver) cancelKeyDeletion(t *rapid.T) {
	s := drawScene(t)
	n := d.drawName(t, s, false)
	want := d.changeCode(s, n, "kms:CancelKeyDeletion")
	if want == "" && n.key.deletion == 0 {
		want = "KMSInvalidStateException"
	}
	d.do(t, s, want, "CancelKeyDeletion", m{"KeyId": n.text})
	if want == "" {
		n.key.deletion, n.key.disabled = 0, true
	}
}

// contextOf is an encryption context with one value, none where it is empty.
func contextOf(value string) m {
	if value == "" {
		return m{}
	}
	return m{"purpose": value}
}

func (d *driver) encrypt(t *rapid.T) {
	s := drawScene(t)
	n := d.drawName(t, s, true)
	want := n.code
	if n.key != nil {
		want = d.useCode(s.caller, "kms:Encrypt", n.key)
	}
	b := modelBlob{key: n.key, plaintext: fmt.Sprint("plaintext ", len(d.blobs)), context: rapid.SampledFrom([]string{"", "test"}).Draw(t, "context")}
	resp := d.do(t, s, want, "Encrypt", m{"KeyId": n.text, "Plaintext": b64(b.plaintext), "EncryptionContext": contextOf(b.context)})
	if want == "" {
		b.blob = resp["CiphertextBlob"]
		d.blobs = append(d.blobs, b)
	}
}

// decryptCode is the error of decrypting a blob that the ciphertext alone names.
func (d *driver) decryptCode(s scene, action string, b modelBlob, sameContext bool) string {
	switch {
	case b.key.deleted, b.key.region != s.region:
		return "AccessDeniedException"
	}
	if code := d.useCode(s.caller, action, b.key); code != "" {
		return code
	}
	if !sameContext {
		return "InvalidCiphertextException"
	}
	return ""
}

func (d *driver) decryptAs(t *rapid.T, caller string, b modelBlob, sameContext bool) {
	t.Helper()
	s := scene{caller, b.key.region}
	context := b.context
	if !sameContext {
		context += "x"
	}
	resp := d.do(t, s, d.decryptCode(s, "kms:Decrypt", b, sameContext), "Decrypt", m{"CiphertextBlob": b.blob, "EncryptionContext": contextOf(context)})
	d.opened(t, resp, b)
}

func (d *driver) opened(t *rapid.T, resp m, b modelBlob) {
	t.Helper()
	if resp != nil && (string(unb64(d.w.t, resp["Plaintext"])) != b.plaintext || resp["KeyId"] != b.key.arn()) {
		t.Fatalf("decrypted %v, want %q of %s", resp, b.plaintext, b.key.arn())
	}
}

func (d *driver) drawBlob(t *rapid.T) modelBlob {
	if len(d.blobs) == 0 {
		t.Skip("nothing was encrypted yet")
	}
	return rapid.SampledFrom(d.blobs).Draw(t, "blob")
}

func (d *driver) decrypt(t *rapid.T) {
	b := d.drawBlob(t)
	d.decryptAs(t, drawScene(t).caller, b, rapid.IntRange(0, 3).Draw(t, "context") > 0)
}

func (d *driver) decryptByName(t *rapid.T) {
	b, s := d.drawBlob(t), drawScene(t)
	n := d.drawName(t, s, true)
	want := n.code
	switch {
	case n.key == nil:
	case !d.allowed(s.caller, "kms:Decrypt", n.key):
		want = "AccessDeniedException"
	case n.key != b.key:
		want = "IncorrectKeyException"
	default:
		want = stateCode(n.key)
	}
	d.opened(t, d.do(t, s, want, "Decrypt", m{"CiphertextBlob": b.blob, "KeyId": n.text, "EncryptionContext": contextOf(b.context)}), b)
}

func (d *driver) reEncrypt(t *rapid.T) {
	b, s := d.drawBlob(t), drawScene(t)
	n := d.drawName(t, s, true)
	want := d.decryptCode(s, "kms:ReEncryptFrom", b, true)
	if want == "" {
		if want = n.code; n.key != nil {
			want = d.useCode(s.caller, "kms:ReEncryptTo", n.key)
		}
	}
	resp := d.do(t, s, want, "ReEncrypt", m{"CiphertextBlob": b.blob, "SourceEncryptionContext": contextOf(b.context), "DestinationKeyId": n.text})
	if want == "" {
		d.blobs = append(d.blobs, modelBlob{key: n.key, blob: resp["CiphertextBlob"], plaintext: b.plaintext})
	}
}

// timePasses moves the clock by days, and the worker does what is due.
func (d *driver) timePasses(t *rapid.T) {
	days := rapid.IntRange(1, 5).Draw(t, "days")
	d.w.clock.Advance(time.Duration(days) * day)
	d.day += days
	var none error
	if _, err := d.w.worker(&none).Work(d.w.t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, k := range d.keys {
		switch {
		case k.deletion != 0 && !k.deleted && k.deletion <= d.day:
			k.deleted, k.erasure = true, d.day+modelGrace
			maps.DeleteFunc(d.aliases, func(_ modelAlias, id string) bool { return id == k.id })
		case k.erasure != 0 && k.erasure <= d.day:
			k.erasure = 0
		}
	}
}

// compare holds what the API shows, and the records beneath, against the model.
func (d *driver) compare(t *rapid.T) {
	d.w.check()
	want := map[string]int{}
	for _, k := range d.keys {
		switch {
		case !k.deleted:
			want["key/"]++
			want["material/"]++
			if k.deletion != 0 {
				want["deletion/"]++
			}
		case k.erasure != 0:
			want["material/"]++
			want["tombstone/"]++
			want["erasure/"]++
		}
	}
	want["alias/"], want["keyalias/"] = len(d.aliases), len(d.aliases)
	for _, prefix := range []string{"key/", "material/", "alias/", "keyalias/", "deletion/", "tombstone/", "erasure/"} {
		if got := d.w.count(prefix); got != want[prefix] {
			t.Fatalf("%d records under %s, want %d", got, prefix, want[prefix])
		}
	}
	for _, k := range d.keys {
		if !k.deleted {
			d.compareKey(t, k)
		}
	}
	for _, s := range []scene{{account, region}, {account, "eu-west-1"}, {other, region}, {other, "eu-west-1"}} {
		got, wanted := map[string]string{}, map[string]string{}
		for _, e := range d.do(t, s, "", "ListAliases", m{})["Aliases"].([]any) {
			got[e.(m)["AliasName"].(string)] = e.(m)["TargetKeyId"].(string)
		}
		for a, id := range d.aliases {
			if a.account == s.caller && a.region == s.region {
				wanted[a.name] = id
			}
		}
		if !maps.Equal(got, wanted) {
			t.Fatalf("aliases of %v: %v, want %v", s, got, wanted)
		}
	}
}

func (d *driver) compareKey(t *rapid.T, k *modelKey) {
	s := scene{k.account, k.region}
	meta := d.do(t, s, "", "DescribeKey", m{"KeyId": k.id})["KeyMetadata"].(m)
	state := map[string]string{"": "Enabled", "DisabledException": "Disabled", "KMSInvalidStateException": "PendingDeletion"}[stateCode(k)]
	if meta["KeyState"] != state || meta["Enabled"] != (state == "Enabled") || meta["Description"] != k.description {
		t.Fatalf("key %v, want %s with description %q", meta, state, k.description)
	}
	tags := [][2]string{}
	for _, e := range d.do(t, s, "", "ListResourceTags", m{"KeyId": k.id})["Tags"].([]any) {
		tags = append(tags, [2]string{e.(m)["TagKey"].(string), e.(m)["TagValue"].(string)})
	}
	if diff := cmp.Diff(append([][2]string{}, k.tags...), tags); diff != "" {
		t.Fatalf("tags (-want +got):\n%s", diff)
	}
}
